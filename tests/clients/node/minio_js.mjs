// minio-js: one IamAwsProvider. It reads `AccessKeyID`, so the listener must offer that spelling.
import { IamAwsProvider } from "minio/dist/esm/IamAwsProvider.mjs";
import { answer, key } from "./asking.mjs";

const provider = new IamAwsProvider({ customEndpoint: process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT });

await answer(async () => {
  const found = await provider.getCredentials();
  if (!found.accessKey) return "error minio-js read no access key id";
  return key(found.accessKey, found.secretKey, found.sessionToken);
});
