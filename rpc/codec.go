package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// unreadableField is the number of the unknown field in which a codec leaves the reason why a request could not be read.
// Connect answers unreadable requests by itself, before any interceptor runs and without an ErrorDetail; left here, the
// reason reaches observer, which answers with one. A client that sends the field gets the same refusal.
const unreadableField protowire.Number = 536_870_911

// codecs are Connect's own two codecs but for what they do with bytes that they can't read and with unknown fields in JSON.
func codecs() []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithCodec(binaryCodec{}),
		connect.WithCodec(jsonCodec{"json"}),
		connect.WithCodec(jsonCodec{"json; charset=utf-8"}),
	}
}

type binaryCodec struct{}

func (binaryCodec) Name() string   { return "proto" }
func (binaryCodec) IsBinary() bool { return true }

func (binaryCodec) Marshal(m any) ([]byte, error) {
	return binaryCodec{}.MarshalAppend(nil, m)
}

func (binaryCodec) MarshalAppend(b []byte, m any) ([]byte, error) {
	p, err := message(m)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{}.MarshalAppend(b, p)
}

func (binaryCodec) MarshalStable(m any) ([]byte, error) {
	p, err := message(m)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(p)
}

func (binaryCodec) Unmarshal(b []byte, m any) error {
	p, err := message(m)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(b, p); err != nil {
		markUnreadable(p, err)
	}
	return nil
}

type jsonCodec struct{ name string }

func (c jsonCodec) Name() string { return c.name }
func (jsonCodec) IsBinary() bool { return false }

func (c jsonCodec) Marshal(m any) ([]byte, error) { return c.MarshalAppend(nil, m) }

func (jsonCodec) MarshalAppend(b []byte, m any) ([]byte, error) {
	p, err := message(m)
	if err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{}.MarshalAppend(b, p)
}

func (c jsonCodec) MarshalStable(m any) ([]byte, error) {
	b, err := c.Marshal(m)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil {
		return nil, fmt.Errorf("couldn't compact JSON: %w", err)
	}
	return compact.Bytes(), nil
}

func (jsonCodec) Unmarshal(b []byte, m any) error {
	p, err := message(m)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		err = errors.New("the body is empty; send at least {}")
	} else {
		// A field that is unknown is most likely misspelt, and a post without its client_msg_id, say, would be taken for
		// another one when it is retried. Programs that must get along with older nodes speak protobuf.
		err = protojson.Unmarshal(b, p)
	}
	if err != nil {
		markUnreadable(p, err)
	}
	return nil
}

func message(m any) (proto.Message, error) {
	p, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("couldn't encode %T: not a protobuf message", m)
	}
	return p, nil
}

func markUnreadable(p proto.Message, why error) {
	proto.Reset(p)
	b := protowire.AppendTag(nil, unreadableField, protowire.BytesType)
	p.ProtoReflect().SetUnknown(protowire.AppendString(b, why.Error()))
}

// unreadable is the refusal of a request that a codec could not read, or nil.
func unreadable(m any) error {
	p, ok := m.(proto.Message)
	if !ok {
		return nil
	}
	for rest := []byte(p.ProtoReflect().GetUnknown()); len(rest) > 0; {
		num, typ, n := protowire.ConsumeField(rest)
		if n < 0 {
			return nil
		}
		if num == unreadableField && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(rest)
			why, _ := protowire.ConsumeString(rest[tag:])
			if strings.Contains(why, "UTF-8") {
				return refuse(reasonNotUTF8, "couldn't read the request: %s", why)
			}
			return refuse(reasonMalformed, "couldn't read the request: %s", why)
		}
		rest = rest[n:]
	}
	return nil
}
