package main

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"skynetes.io/bench/peer/peerv1"
)

// checkStamp refuses a partial that another state, version or shard has made.
func checkStamp(config *Config, shard *Shard, encoded []byte) error {
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
