// AWS SDK for JavaScript v2: its default chain once, then the credentials object renews itself.
import AWS from "aws-sdk";
import { answer, key } from "./asking.mjs";

const config = new AWS.Config({ credentials: null, credentialProvider: new AWS.CredentialProviderChain() });

await answer(
  () =>
    new Promise((resolve, reject) => {
      config.getCredentials((error, found) => {
        if (error) reject(error);
        else resolve(key(found.accessKeyId, found.secretAccessKey, found.sessionToken));
      });
    }),
);
