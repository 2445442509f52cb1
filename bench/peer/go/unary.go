package main

import (
	"context"
	"strconv"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"skynetes.io/bench/peer/peerv1"
)

// unary asks by one gRPC call a shard, on one connection a pod.
type unary struct {
	config *Config
	method string
	pods   []unaryPod
}

type unaryPod struct {
	shard   *Shard
	conn    *grpc.ClientConn
	headers metadata.MD
	stamp   []byte
}

func openUnary(config *Config) (Scatterer, error) {
	u := &unary{config: config, method: "/" + config.Service + "/Top"}
	for i := range config.Shards {
		shard := &config.Shards[i]
		conn, err := grpc.NewClient("passthrough:///"+shard.Address, dialOptions()...)
		if err != nil {
			return nil, err
		}
		stamp, err := encodeStamp(config, shard)
		if err != nil {
			return nil, err
		}
		headers := metadata.Pairs(
			"x-skynetes-version", config.Version,
			"x-skynetes-placement", shard.Node,
			"x-skynetes-shard", strconv.Itoa(int(shard.Shard)),
			"x-skynetes-snapshot", config.Snapshot,
		)
		u.pods = append(u.pods, unaryPod{shard: shard, conn: conn, headers: headers, stamp: stamp})
	}
	return u, nil
}

func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(),
	}
}

func (u *unary) Scatter(ctx context.Context, question *Question) ([]*peerv1.TopResponse, error) {
	group, ctx := errgroup.WithContext(ctx)
	partials := make([]*peerv1.TopResponse, len(u.pods))
	for i := range u.pods {
		group.Go(func() error {
			pod := &u.pods[i]
			var header metadata.MD
			partial := new(peerv1.TopResponse)
			callCtx := metadata.NewOutgoingContext(ctx, pod.headers)
			if err := pod.conn.Invoke(callCtx, u.method, question.request, partial, grpc.Header(&header)); err != nil {
				return err
			}
			stamps := header.Get("x-skynetes-stamp-bin")
			if len(stamps) != 1 {
				return status.Errorf(codes.Unavailable, "shard %d sent %d stamps", pod.shard.Shard, len(stamps))
			}
			partials[i] = partial
			return checkStamp(u.config, pod.shard, pod.stamp, []byte(stamps[0]))
		})
	}
	return partials, group.Wait()
}

func (u *unary) Frames() uint64 { return 0 }

func (u *unary) Close() {
	for _, pod := range u.pods {
		_ = pod.conn.Close()
	}
}
