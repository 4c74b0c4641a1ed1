// The line protocol between the matrix and a client program: see programs/asking.py.
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";

export function key(accessKeyId, secretAccessKey, sessionToken) {
  const whole = `${secretAccessKey}\n${sessionToken}`;
  return `key ${accessKeyId} ${createHash("sha256").update(whole).digest("hex").slice(0, 16)}`;
}

export async function answer(ask) {
  for await (const _ of createInterface({ input: process.stdin })) {
    const reply = await ask().catch((error) => `error ${error.name}: ${error.message}`);
    console.log(reply.split(/\s+/).join(" "));
  }
}
