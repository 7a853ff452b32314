// Post a picture and ask for a forecast, with Go's standard library.
//
//	go run examples/clients/client.go examples/ankle_boot.png
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

const timeout = 30 * time.Second // for a whole call, retries included

type classification struct {
	Predictions []struct {
		Label       string
		Probability float64
	}
}

type forecasts struct {
	Forecasts []struct{ Mean []float64 }
}

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("usage: go run client.go PICTURE"))
	}
	picture, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	var best classification
	if err := post("/v1/models/fashion_cnn:predict?top=1", picture, "application/octet-stream", &best); err != nil {
		fail(err)
	}
	fmt.Printf("%s %.3f\n", best.Predictions[0].Label, best.Predictions[0].Probability)

	var next forecasts
	history := []byte(`{"history": [0.31, 0.58], "horizon": 3}`)
	if err := post("/v1/models/sine_rnn:forecast", history, "application/json", &next); err != nil {
		fail(err)
	}
	fmt.Printf("%.3f\n", next.Forecasts[0].Mean)
}

// post reads the answer into result; after 429 and 503 it repeats the request when Retry-After says.
func post(path string, body []byte, contentType string, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address()+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", contentType)
		if key := os.Getenv("VITRINE_KEY"); key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode == http.StatusOK {
			defer response.Body.Close()
			return json.NewDecoder(response.Body).Decode(result)
		}
		var problem struct{ Error, Code string }
		json.NewDecoder(response.Body).Decode(&problem) // an answer that is no JSON leaves it empty
		response.Body.Close()
		if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
			return fmt.Errorf("%d %s: %s", response.StatusCode, problem.Code, problem.Error)
		}
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
		case <-ctx.Done():
			return fmt.Errorf("%d %s: %s", response.StatusCode, problem.Code, problem.Error)
		}
	}
}

func address() string {
	if url := os.Getenv("VITRINE_URL"); url != "" {
		return url
	}
	return "http://127.0.0.1:8000"
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
