// Says who it is: the id of its access key, and what STS calls its bearer. With `region` it says where the metadata
// service puts it, with `refresh TIMES SECONDS` who it is so many times, with one client and with pauses between.

import { setTimeout as pause } from "node:timers/promises";

import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { MetadataService } from "@aws-sdk/ec2-metadata-service";

async function callers(times, seconds) {
  const sts = new STSClient();
  for (let number = 0; number < times; number++) {
    await pause(number && seconds * 1000);
    const { Arn } = await sts.send(new GetCallerIdentityCommand());
    const { accessKeyId } = await sts.config.credentials();
    console.log(accessKeyId, Arn);
  }
}

// Two parts of the SDK ask for it, each in its own way: what applications call, and the defaults mode `auto`.
async function region() {
  const region = await new MetadataService().request("/latest/meta-data/placement/region", {});
  const mode = await new STSClient({ defaultsMode: "auto", region }).config.defaultsMode();
  if (mode !== "in-region") throw new Error(`the defaults mode in ${region} is ${mode}`);
  console.log(region);
}

const [task, ...words] = process.argv.slice(2);
if (task === undefined) {
  await callers(1, 0);
} else if (task === "region") {
  await region();
} else if (task === "refresh") {
  await callers(...words.map(Number));
} else {
  throw new Error(`neither region nor refresh TIMES SECONDS: ${task}`);
}
