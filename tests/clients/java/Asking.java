import com.amazonaws.auth.AWSSessionCredentials;
import com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;

/** AWS SDK for Java v1: the container or instance provider, kept. Lines: see programs/asking.py. */
final class Asking {
    public static void main(String[] arguments) throws IOException, GeneralSecurityException {
        var provider = new EC2ContainerCredentialsProviderWrapper();
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (lines.readLine() != null) {
            String reply;
            try {
                reply = key((AWSSessionCredentials) provider.getCredentials());
            } catch (RuntimeException error) {
                reply = "error " + String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
            }
            System.out.println(reply);
        }
    }

    private static String key(AWSSessionCredentials found) throws GeneralSecurityException {
        String whole = found.getAWSSecretKey() + "\n" + found.getSessionToken();
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(whole.getBytes(StandardCharsets.UTF_8));
        String digest = HexFormat.of().formatHex(hash, 0, 8);
        return "key " + found.getAWSAccessKeyId() + " " + digest;
    }
}
