import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;

/** The JDK's HTTP client with its defaults: it offers h2c in the first request of a connection. */
public class WithJdk {
  static final String GATEWAY = System.getenv("GATEWAY");
  static final String REST = "http://" + System.getenv("MODEL_SERVER_REST");

  public static void main(String[] arguments) throws Exception {
    for (HttpClient.Version version : HttpClient.Version.values()) {
      HttpClient client = HttpClient.newBuilder().version(version).connectTimeout(Duration.ofSeconds(5)).build();
      for (int time = 0; time < 2; time++) {
        ask(client, GATEWAY + "/v1/models/sine_rnn:forecast", "application/json",
            BodyPublishers.ofString("{\"history\": [0.31, 0.58], \"horizon\": 3}"), "0.793");
        ask(client, GATEWAY + "/v1/models/fashion_cnn:predict", "image/png",
            BodyPublishers.ofFile(Path.of(System.getenv("PICTURE"))), "Ankle boot");
        ask(client, REST + "/v1/models/sine_rnn:predict", "application/json",
            BodyPublishers.ofString("{\"instances\": [[0.31, 0.58]]}"), "0.793");
      }
      System.out.println("ok " + version);
    }
  }

  static void ask(HttpClient client, String url, String type, HttpRequest.BodyPublisher body, String expected)
      throws Exception {
    var request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20)).header("Content-Type", type);
    var answer = client.send(request.POST(body).build(), BodyHandlers.ofString());
    if (answer.statusCode() != 200 || !answer.body().contains(expected)) {
      throw new AssertionError(url + ": " + answer.statusCode() + " " + answer.body());
    }
  }
}
