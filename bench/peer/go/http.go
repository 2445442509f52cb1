package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skynetes.io/bench/peer/peerv1"
)

const (
	defaultTimeout = 10 * time.Second
	bodyBytesMax   = 1 << 20
	// Of the client's time, kept for merging and replying: a tenth, at most so much.
	reserveMax = 100 * time.Millisecond
)

// Question is what the shards are asked, and until when.
type Question struct {
	request  *peerv1.TopRequest
	deadline time.Time
}

type topBody struct {
	Seed          int64    `json:"seed,string"`
	Limit         int32    `json:"limit"`
	Only          []string `json:"only"`
	MeanServiceUs int32    `json:"meanServiceUs"`
}

type reply struct {
	Answer       answer       `json:"answer"`
	Snapshot     snapshotID   `json:"snapshot"`
	Completeness completeness `json:"completeness"`
}

type answer struct {
	Groups []groupJSON `json:"groups"`
}

type groupJSON struct {
	Key    string `json:"key"`
	First  int64  `json:"first,string"`
	Second int64  `json:"second,string"`
	Third  int64  `json:"third,string"`
}

type snapshotID struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

type completeness struct {
	Complete bool       `json:"complete"`
	Shards   shardCount `json:"shards"`
	Rows     rowCount   `json:"rows"`
	Missing  []struct{} `json:"missing"`
}

type shardCount struct {
	Expected int `json:"expected"`
	Answered int `json:"answered"`
}

type rowCount struct {
	Expected int64 `json:"expected,string"`
	Answered int64 `json:"answered,string"`
}

func routes(config *Config, scatterer Scatterer) http.Handler {
	mux := http.NewServeMux()
	whole := completeness{Complete: true, Missing: []struct{}{}}
	for _, shard := range config.Shards {
		whole.Shards.Expected++
		whole.Shards.Answered++
		whole.Rows.Expected += shard.Rows
		whole.Rows.Answered += shard.Rows
	}
	path := fmt.Sprintf("POST /v1/snapshots/%s/%s/Top", config.Snapshot, config.Service)
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		groups, err := answerTop(r, scatterer)
		if err != nil {
			refuse(w, err)
			return
		}
		body, err := json.Marshal(reply{
			Answer:       answer{Groups: groups},
			Snapshot:     snapshotID{ID: config.Snapshot, Version: config.Version},
			Completeness: whole,
		})
		if err != nil {
			refuse(w, err)
			return
		}
		body = append(body, '\n')
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	mux.HandleFunc("GET /frames", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "%d", scatterer.Frames())
	})
	return mux
}

func answerTop(r *http.Request, scatterer Scatterer) ([]groupJSON, error) {
	var body topBody
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, bodyBytesMax)).Decode(&body); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	timeout := defaultTimeout
	if text := r.URL.Query().Get("timeout"); text != "" {
		parsed, err := time.ParseDuration(text)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		timeout = min(parsed, defaultTimeout)
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout-min(timeout/10, reserveMax))
	defer cancel()
	deadline, _ := ctx.Deadline()
	question := &Question{
		// An ordinary limit would cut groups off that another shard makes great: all groups are asked for.
		request:  &peerv1.TopRequest{Seed: body.Seed, Only: body.Only, MeanServiceUs: body.MeanServiceUs},
		deadline: deadline,
	}
	partials, err := scatterer.Scatter(ctx, question)
	if err != nil {
		return nil, err
	}
	return mergeTop(partials, int(body.Limit)), nil
}

func refuse(w http.ResponseWriter, err error) {
	code := http.StatusBadGateway
	switch status.Code(err) {
	case codes.InvalidArgument:
		code = http.StatusBadRequest
	case codes.DeadlineExceeded:
		code = http.StatusGatewayTimeout
	case codes.Unavailable:
		code = http.StatusServiceUnavailable
	}
	if errors.Is(err, context.DeadlineExceeded) {
		code = http.StatusGatewayTimeout
	}
	http.Error(w, err.Error(), code)
}
