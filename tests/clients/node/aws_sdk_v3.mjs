// AWS SDK for JavaScript v3: the default Node.js chain, memoised as its service clients do.
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";
import { answer, key } from "./asking.mjs";

const chain = fromNodeProviderChain();

await answer(async () => {
  const found = await chain();
  return key(found.accessKeyId, found.secretAccessKey, found.sessionToken);
});
