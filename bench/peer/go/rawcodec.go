package main

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// rawCodec passes frames as the bytes they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	frame, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("send a frame: it is a %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(frame)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	frame, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("receive a frame: into a %T", v)
	}
	// The buffers go back to their pool: what is kept must be a copy.
	*frame = data.Materialize()
	return nil
}
