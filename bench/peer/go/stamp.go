package main

import (
	"bytes"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"skynetes.io/bench/peer/peerv1"
)

// encodeStamp returns the stamp that a shard must send, as most encoders write it.
func encodeStamp(config *Config, shard *Shard) ([]byte, error) {
	return proto.Marshal(&peerv1.Stamp{
		Shard: shard.Shard, Snapshot: config.Snapshot, StateDigest: shard.StateDigest, ServiceVersion: config.Version,
	})
}

// checkStamp refuses a partial that another state, version or shard has made. Equal bytes are an equal stamp; other
// bytes may be one, too.
func checkStamp(config *Config, shard *Shard, expected, encoded []byte) error {
	if bytes.Equal(expected, encoded) {
		return nil
	}
	var stamp peerv1.Stamp
	if err := proto.Unmarshal(encoded, &stamp); err != nil {
		return err
	}
	if stamp.Shard == shard.Shard && stamp.Snapshot == config.Snapshot &&
		stamp.StateDigest == shard.StateDigest && stamp.ServiceVersion == config.Version {
		return nil
	}
	return status.Errorf(codes.Unavailable, "shard %d vouches for %v", shard.Shard, &stamp)
}
