import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * Post a picture and ask for a forecast, with the HTTP client of JDK 17 or later.
 *
 * <p>java examples/clients/VitrineClient.java examples/ankle_boot.png
 *
 * <p>The JDK has no JSON parser: this program prints the answers. Use yours (Jackson, Gson) to read them.
 */
public class VitrineClient {
  static final String URL = Optional.ofNullable(System.getenv("VITRINE_URL")).orElse("http://127.0.0.1:8000");
  static final String KEY = System.getenv("VITRINE_KEY");
  static final Duration TIMEOUT = Duration.ofSeconds(30); // for a whole call, retries included
  static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  public static void main(String[] arguments) throws InterruptedException {
    if (arguments.length != 1) {
      System.err.println("usage: java VitrineClient.java PICTURE");
      System.exit(2);
    }
    try {
      BodyPublisher picture = BodyPublishers.ofFile(Path.of(arguments[0]));
      System.out.println(post("/v1/models/fashion_cnn:predict?top=1", picture, "application/octet-stream"));
      BodyPublisher history = BodyPublishers.ofString("{\"history\": [0.31, 0.58], \"horizon\": 3}");
      System.out.println(post("/v1/models/sine_rnn:forecast", history, "application/json"));
    } catch (IOException error) {
      System.err.println(error);
      System.exit(1);
    }
  }

  /** Return the answer; after 429 and 503 repeat the request when Retry-After says. */
  static String post(String path, BodyPublisher body, String type) throws IOException, InterruptedException {
    Instant end = Instant.now().plus(TIMEOUT);
    while (true) {
      Duration left = Duration.between(Instant.now(), end);
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(URL + path)).POST(body);
      request.header("Content-Type", type).timeout(left);
      if (KEY != null) {
        request.header("Authorization", "Bearer " + KEY);
      }
      HttpResponse<String> response = CLIENT.send(request.build(), BodyHandlers.ofString());
      int status = response.statusCode();
      if (status == 200) {
        return response.body();
      }
      Duration pause = Duration.ofSeconds(response.headers().firstValueAsLong("Retry-After").orElse(1));
      if ((status != 429 && status != 503) || Instant.now().plus(pause).isAfter(end)) {
        throw new IOException(status + " " + response.body());
      }
      Thread.sleep(pause.toMillis());
    }
  }
}
