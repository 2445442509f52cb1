package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	heartbeatEvery = 2 * time.Second
	// Without a frame for so long a stream is dead.
	silenceMax  = 6 * time.Second
	reopenAfter = 100 * time.Millisecond
	// What a call may send before it is granted more, and what is granted when half of it is here.
	creditBytes = 256 << 10
	// Of frames of 64 KiB, which the service never exceeds.
	windowBytes = 4 << 20
)

// streamPod keeps a stream to one pod open and gives it calls.
type streamPod struct {
	config *Config
	shard  *Shard
	conn   *grpc.ClientConn
	// The part of every call that is always the same.
	fixed  []byte
	stamp  []byte
	frames atomic.Uint64
	ctx    context.Context
	close  context.CancelFunc
	wake   chan struct{}

	mu        sync.Mutex
	lastID    uint64
	waiting   []*call
	cancelled []uint64
	credits   []*call
	// Sent and not yet answered, on the stream that is open.
	open map[uint64]*call
}

func newStreamPod(config *Config, shard *Shard) (*streamPod, error) {
	conn, err := grpc.NewClient("passthrough:///"+shard.Address, streamDialOptions()...)
	if err != nil {
		return nil, err
	}
	stamp, err := encodeStamp(config, shard)
	if err != nil {
		return nil, err
	}
	pod := &streamPod{
		config: config,
		shard:  shard,
		conn:   conn,
		fixed:  appendFixed(nil, config.Snapshot, "/"+config.Service+"/Top"),
		stamp:  stamp,
		wake:   make(chan struct{}, 1),
		open:   map[uint64]*call{},
	}
	pod.ctx, pod.close = context.WithCancel(context.Background())
	go pod.keepOpen()
	return pod, nil
}

// ask queues a call; its partial comes on call.arrived.
func (p *streamPod) ask(c *call) *call {
	p.mu.Lock()
	p.waiting = append(p.waiting, c)
	p.mu.Unlock()
	p.wakeWriter()
	return c
}

// cancel tells the pod that nobody waits for a call any more; one that has ended is ended already.
func (p *streamPod) cancel(c *call) {
	p.mu.Lock()
	c.gone = true
	if _, isOpen := p.open[c.id]; isOpen {
		delete(p.open, c.id)
		p.cancelled = append(p.cancelled, c.id)
	}
	p.mu.Unlock()
	p.wakeWriter()
}

func (p *streamPod) wakeWriter() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// keepOpen opens stream after stream until the pod is closed.
func (p *streamPod) keepOpen() {
	for p.ctx.Err() == nil {
		err := p.converse()
		p.failAll(err)
		select {
		case <-p.ctx.Done():
		case <-time.After(reopenAfter):
		}
	}
	_ = p.conn.Close()
}

// converse runs one stream to its end. Calls are sent from the hello on.
func (p *streamPod) converse() error {
	ctx, end := context.WithCancel(p.ctx)
	defer end()
	ctx = metadata.AppendToOutgoingContext(ctx,
		"x-skynetes-version", p.config.Version, "x-skynetes-placement", p.shard.Node)
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := p.conn.NewStream(ctx, desc, "/skynetes.v1.ShardService/Converse", grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		return err
	}
	silence := time.AfterFunc(silenceMax, end)
	defer silence.Stop()
	written := make(chan struct{})
	isWriting := false
	for {
		var bytes []byte
		if err := stream.RecvMsg(&bytes); err != nil {
			end()
			if isWriting {
				<-written
			}
			return err
		}
		silence.Reset(silenceMax)
		frame, err := readFrame(bytes, p.take)
		if err == nil && !frame.hello && !isWriting {
			err = status.Error(codes.Internal, "the first frame has no hello")
		}
		if err != nil {
			return err
		}
		if !isWriting {
			isWriting = true
			go func() {
				p.write(ctx, stream)
				close(written)
			}()
		}
	}
}

// write packs what waits into frames until the stream ends.
func (p *streamPod) write(ctx context.Context, stream grpc.ClientStream) {
	heartbeat := time.NewTimer(heartbeatEvery)
	defer heartbeat.Stop()
	sequence := uint64(0)
	for {
		beat := false
		select {
		case <-ctx.Done():
			return
		case <-heartbeat.C:
			beat = true
		case <-p.wake:
			// Whoever else is about to ask gets into the same frame.
			runtime.Gosched()
		}
		for {
			frame := p.pack()
			if len(frame) == 0 && beat {
				sequence++
				frame = appendHeartbeat(frame, sequence)
			}
			if len(frame) == 0 {
				break
			}
			beat = false
			p.frames.Add(1)
			if err := stream.SendMsg(frame); err != nil {
				return
			}
		}
		heartbeat.Reset(heartbeatEvery)
	}
}

// pack makes a frame of what waits; empty when nothing does.
func (p *streamPod) pack() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 && len(p.cancelled) == 0 && len(p.credits) == 0 {
		return nil
	}
	frame := make([]byte, 0, 512)
	frame = appendCancelled(frame, p.cancelled)
	p.cancelled = p.cancelled[:0]
	for _, c := range p.credits {
		frame = appendCredit(frame, c.id, creditBytes/2)
	}
	p.credits = p.credits[:0]
	now := time.Now()
	taken := 0
	for _, c := range p.waiting {
		if taken > 0 && len(frame)+len(c.request)+256 > frameBytesMax {
			break
		}
		taken++
		if c.gone {
			continue
		}
		p.lastID++
		c.id = p.lastID
		p.open[c.id] = c
		frame = appendCall(frame, c.id, p, c.request, max(0, c.deadline.Sub(now)))
	}
	p.waiting = append(p.waiting[:0], p.waiting[taken:]...)
	return frame
}

// take adds a fragment to its call; one of a call that has ended is ignored.
func (p *streamPod) take(f *fragment) error {
	p.mu.Lock()
	c, isOpen := p.open[f.id]
	p.mu.Unlock()
	if !isOpen {
		return nil
	}
	if f.ended && f.code != 0 {
		p.finish(c, nil, status.Errorf(codes.Code(f.code), "shard %d: %s", p.shard.Shard, f.message))
		return nil
	}
	if !c.stamped {
		c.stamped = true
		if err := checkStamp(p.config, p.shard, p.stamp, f.stamp); err != nil {
			p.finish(c, nil, err)
			return nil
		}
	}
	if f.ended && c.data == nil {
		p.finish(c, f.data, nil)
		return nil
	}
	c.data = append(c.data, f.data...)
	if f.ended {
		p.finish(c, c.data, nil)
	} else if len(c.data) > c.granted+creditBytes/2 {
		c.granted += creditBytes / 2
		p.mu.Lock()
		p.credits = append(p.credits, c)
		p.mu.Unlock()
		p.wakeWriter()
	}
	return nil
}

func (p *streamPod) finish(c *call, data []byte, err error) {
	p.mu.Lock()
	delete(p.open, c.id)
	p.mu.Unlock()
	c.arrived <- partial{index: c.index, data: data, err: err}
}

func (p *streamPod) failAll(err error) {
	p.mu.Lock()
	failed := p.open
	p.open = map[uint64]*call{}
	p.cancelled, p.credits, p.lastID = nil, nil, 0
	p.mu.Unlock()
	for _, c := range failed {
		c.arrived <- partial{index: c.index, err: status.Errorf(codes.Unavailable, "shard %d: %v", p.shard.Shard, err)}
	}
}

func streamDialOptions() []grpc.DialOption {
	return append(dialOptions(), grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(windowBytes))
}
