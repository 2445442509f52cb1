package main

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The frames of skynetes.v1.ShardService/Converse, written and read by hand: numbers are those of shard.proto.

// Bytes of a frame at most.
const frameBytesMax = 64 << 10

// appendCall appends a ShardCall as field 1 of a ConverseRequest.
func appendCall(frame []byte, id uint64, pod *streamPod, question []byte, remaining time.Duration) []byte {
	size := protowire.SizeTag(1) + protowire.SizeVarint(id) +
		protowire.SizeTag(2) + protowire.SizeVarint(uint64(pod.shard.Shard)) + len(pod.fixed) +
		protowire.SizeTag(5) + protowire.SizeVarint(uint64(remaining.Microseconds())) +
		protowire.SizeTag(6) + protowire.SizeBytes(len(question))
	frame = protowire.AppendTag(frame, 1, protowire.BytesType)
	frame = protowire.AppendVarint(frame, uint64(size))
	frame = appendVarintField(frame, 1, id)
	frame = appendVarintField(frame, 2, uint64(pod.shard.Shard))
	frame = append(frame, pod.fixed...)
	frame = appendVarintField(frame, 5, uint64(remaining.Microseconds()))
	frame = protowire.AppendTag(frame, 6, protowire.BytesType)
	return protowire.AppendBytes(frame, question)
}

// appendFixed appends what is the same in every call of a pod: snapshot and method.
func appendFixed(bytes []byte, snapshot, method string) []byte {
	bytes = protowire.AppendTag(bytes, 3, protowire.BytesType)
	bytes = protowire.AppendString(bytes, snapshot)
	bytes = protowire.AppendTag(bytes, 4, protowire.BytesType)
	return protowire.AppendString(bytes, method)
}

// appendCancelled appends ids as field 2.
func appendCancelled(frame []byte, ids []uint64) []byte {
	for _, id := range ids {
		frame = appendVarintField(frame, 2, id)
	}
	return frame
}

// appendCredit appends a Credit as field 3.
func appendCredit(frame []byte, id uint64, bytes int) []byte {
	size := protowire.SizeTag(1) + protowire.SizeVarint(id) + protowire.SizeTag(2) + protowire.SizeVarint(uint64(bytes))
	frame = protowire.AppendTag(frame, 3, protowire.BytesType)
	frame = protowire.AppendVarint(frame, uint64(size))
	frame = appendVarintField(frame, 1, id)
	return appendVarintField(frame, 2, uint64(bytes))
}

// appendHeartbeat appends a Heartbeat as field 4.
func appendHeartbeat(frame []byte, sequence uint64) []byte {
	frame = protowire.AppendTag(frame, 4, protowire.BytesType)
	frame = protowire.AppendVarint(frame, uint64(protowire.SizeTag(1)+protowire.SizeVarint(sequence)))
	return appendVarintField(frame, 1, sequence)
}

func appendVarintField(bytes []byte, number protowire.Number, value uint64) []byte {
	bytes = protowire.AppendTag(bytes, number, protowire.VarintType)
	return protowire.AppendVarint(bytes, value)
}

// received is a ConverseResponse; its fragments are handed on one by one.
type received struct {
	hello bool
	drain bool
}

// fragment is a ShardFragment; its slices are parts of the frame.
type fragment struct {
	id      uint64
	data    []byte
	stamp   []byte
	ended   bool
	code    uint64
	message string
}

// readFrame reads a ConverseResponse and calls take for each of its fragments.
func readFrame(bytes []byte, take func(*fragment) error) (received, error) {
	var frame received
	var piece fragment
	err := readFields(bytes, func(number protowire.Number, _ uint64, value []byte) error {
		switch number {
		case 1:
			frame.hello = true
		case 2:
			piece = fragment{}
			if err := readFragment(value, &piece); err != nil {
				return err
			}
			return take(&piece)
		case 4:
			frame.drain = true
		}
		return nil
	})
	return frame, err
}

func readFragment(bytes []byte, piece *fragment) error {
	return readFields(bytes, func(number protowire.Number, varint uint64, value []byte) error {
		switch number {
		case 1:
			piece.id = varint
		case 2:
			piece.data = value
		case 3:
			piece.stamp = value
		case 4:
			piece.ended = true
			return readFields(value, func(number protowire.Number, varint uint64, value []byte) error {
				switch number {
				case 1:
					piece.code = varint
				case 2:
					piece.message = string(value)
				}
				return nil
			})
		}
		return nil
	})
}

// readFields calls take with the varint or the bytes of each field; other kinds are skipped.
func readFields(bytes []byte, take func(number protowire.Number, varint uint64, value []byte) error) error {
	for len(bytes) > 0 {
		number, kind, n := protowire.ConsumeTag(bytes)
		if n < 0 {
			return fmt.Errorf("read frame: %w", protowire.ParseError(n))
		}
		bytes = bytes[n:]
		var varint uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			varint, n = protowire.ConsumeVarint(bytes)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(bytes)
		default:
			n = protowire.ConsumeFieldValue(number, kind, bytes)
		}
		if n < 0 {
			return fmt.Errorf("read frame: %w", protowire.ParseError(n))
		}
		bytes = bytes[n:]
		if err := take(number, varint, value); err != nil {
			return err
		}
	}
	return nil
}
