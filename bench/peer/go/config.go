package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// Config is what a route table and a seal tell: written by the benchmark, read once.
type Config struct {
	Snapshot string  `json:"snapshot"`
	Version  string  `json:"version"`
	Service  string  `json:"service"`
	Shards   []Shard `json:"shards"`
}

// Shard is one shard at its one placement, with what it must vouch for.
type Shard struct {
	Shard       int32  `json:"shard"`
	Node        string `json:"node"`
	Address     string `json:"address"`
	StateDigest string `json:"stateDigest"`
	Rows        int64  `json:"rows"`
}

func readConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config Config
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(config.Shards) == 0 {
		return nil, fmt.Errorf("read %s: no shards", path)
	}
	return &config, nil
}
