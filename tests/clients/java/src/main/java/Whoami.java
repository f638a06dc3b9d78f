import java.time.Duration;
import java.util.Arrays;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.imds.Ec2MetadataClient;
import software.amazon.awssdk.regions.providers.DefaultAwsRegionProviderChain;
import software.amazon.awssdk.services.sts.StsClient;

/**
 * Says who it is: the id of its access key, and what STS calls its bearer. With "region" it says where the metadata
 * service puts it, with "refresh TIMES SECONDS" who it is so many times, with one client and with pauses between.
 */
public final class Whoami {
  public static void main(String[] words) throws InterruptedException {
    if (words.length == 0) {
      callers(1, Duration.ZERO);
    } else if (words.length == 1 && words[0].equals("region")) {
      region();
    } else if (words.length == 3 && words[0].equals("refresh")) {
      var millis = Math.round(Double.parseDouble(words[2]) * 1000);
      callers(Integer.parseInt(words[1]), Duration.ofMillis(millis));
    } else {
      throw new IllegalArgumentException(
          "neither region nor refresh TIMES SECONDS: " + Arrays.toString(words));
    }
  }

  private static void callers(int times, Duration pause) throws InterruptedException {
    try (var provider = DefaultCredentialsProvider.builder().build();
        var sts = StsClient.builder().credentialsProvider(provider).build()) {
      for (var number = 0; number < times; number++) {
        Thread.sleep(number == 0 ? 0 : pause.toMillis());
        var arn = sts.getCallerIdentity().arn();
        System.out.println(provider.resolveCredentials().accessKeyId() + " " + arn);
      }
    }
  }

  /** Two parts of the SDK ask for it, each in its own way: what finds it by default, and what applications call. */
  private static void region() {
    var found = new DefaultAwsRegionProviderChain().getRegion().id();
    try (var metadata = Ec2MetadataClient.create()) {
      var placed = metadata.get("/latest/meta-data/placement/region").asString();
      if (!placed.equals(found)) {
        throw new IllegalStateException("by default " + found + ", by its metadata " + placed);
      }
    }
    System.out.println(found);
  }
}
