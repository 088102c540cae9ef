// An application as a user of the operator has one: `app serve` reads its credentials from mounted files and from the
// environment, gets a token with each, and is ready then. With no argument it idles, as the sandbox of a pod does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const directory = "/oauth"

func main() {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "app:", err)
			os.Exit(1)
		}
	}
	<-stop.Done()
}

func serve() error {
	file := func(key string) string {
		content, _ := os.ReadFile(filepath.Join(directory, key))
		return string(content)
	}
	for source, get := range map[string]func(string) string{"files": file, "environment": os.Getenv} {
		if err := token(get("tokenUrl"), get("clientId"), get("clientSecret")); err != nil {
			return fmt.Errorf("credentials from %s: %w", source, err)
		}
		fmt.Printf("a token with the credentials from %s, as client %s\n", source, get("clientId"))
	}
	go http.ListenAndServe(":8080", http.NotFoundHandler()) // ready
	return nil
}

func token(at, id, secret string) error {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Post(at, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || body.Token == "" {
		return fmt.Errorf("%s answers %s without a token", at, answer.Status)
	}
	return nil
}
