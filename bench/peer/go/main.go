// Command peer is a scatter-gather gateway as one would write it in Go for a single service: HTTP with JSON in and out,
// every shard asked, an exact top list. With -transport unary it calls the shards by gRPC, with -transport stream by
// skynetes.v1.ShardService/Converse. It checks what Skynetes checks: a deadline on every call, the stamp of every partial.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"skynetes.io/bench/peer/peerv1"
)

// Scatterer asks every shard; the first failure ends the others.
type Scatterer interface {
	Scatter(ctx context.Context, question *Question) ([]*peerv1.TopResponse, error)
	// Frames written since the start; 0 where calls are not packed.
	Frames() uint64
	Close()
}

func main() {
	configPath := flag.String("config", "", "what is asked and where, as JSON")
	transport := flag.String("transport", "unary", "unary or stream")
	listen := flag.String("listen", "127.0.0.1:0", "host:port")
	flag.Parse()
	if err := run(*configPath, *transport, *listen); err != nil {
		log.Fatal(err)
	}
}

func run(configPath, transport, listen string) error {
	config, err := readConfig(configPath)
	if err != nil {
		return err
	}
	open := openUnary
	if transport == "stream" {
		open = openStreams
	}
	scatterer, err := open(config)
	if err != nil {
		return err
	}
	defer scatterer.Close()

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(config, scatterer)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ready := map[string]map[string]string{"ready": {"http": listener.Addr().String()}}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	orphaned := make(chan struct{})
	go func() {
		// The benchmark holds the other end of stdin for as long as it lives.
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(orphaned)
	}()
	select {
	case err := <-ended:
		return err
	case <-stop:
	case <-orphaned:
	}
	return server.Close()
}
