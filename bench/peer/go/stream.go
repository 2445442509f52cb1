package main

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"skynetes.io/bench/peer/peerv1"
)

// streams asks over one long-lived stream a pod, with the calls that are there at the same time in one frame.
type streams struct {
	config *Config
	pods   []*streamPod
}

// partial is a shard's answer, or why there is none.
type partial struct {
	index int
	data  []byte
	err   error
}

func openStreams(config *Config) (Scatterer, error) {
	s := &streams{config: config}
	for i := range config.Shards {
		pod, err := newStreamPod(config, &config.Shards[i])
		if err != nil {
			return nil, err
		}
		s.pods = append(s.pods, pod)
	}
	return s, nil
}

func (s *streams) Scatter(ctx context.Context, question *Question) ([]*peerv1.TopResponse, error) {
	request, err := proto.Marshal(question.request)
	if err != nil {
		return nil, err
	}
	// With room for all, so that no stream waits for this query.
	arrived := make(chan partial, len(s.pods))
	calls := make([]*call, len(s.pods))
	for i, pod := range s.pods {
		calls[i] = pod.ask(&call{index: i, request: request, deadline: question.deadline, arrived: arrived})
	}
	partials := make([]*peerv1.TopResponse, len(s.pods))
	for range s.pods {
		select {
		case <-ctx.Done():
			s.cancel(calls)
			return nil, ctx.Err()
		case p := <-arrived:
			if p.err == nil {
				partials[p.index] = new(peerv1.TopResponse)
				p.err = proto.Unmarshal(p.data, partials[p.index])
			}
			if p.err != nil {
				s.cancel(calls)
				return nil, p.err
			}
		}
	}
	return partials, nil
}

func (s *streams) cancel(calls []*call) {
	for i, pod := range s.pods {
		pod.cancel(calls[i])
	}
}

func (s *streams) Frames() uint64 {
	var frames uint64
	for _, pod := range s.pods {
		frames += pod.frames.Load()
	}
	return frames
}

func (s *streams) Close() {
	for _, pod := range s.pods {
		pod.close()
	}
}

// call is one question to one shard, under way.
type call struct {
	index    int
	id       uint64
	request  []byte
	deadline time.Time
	arrived  chan<- partial
	// Nobody waits for it; guarded by the pod, as id is.
	gone    bool
	data    []byte
	granted int
	stamped bool
}
