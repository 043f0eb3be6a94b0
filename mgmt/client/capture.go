package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Blocks of a pcapng file (draft-ietf-opsawg-pcapng section 3.1): type, length, body, and the
// length again.
const (
	blockHead   = 8
	minBlock    = 12
	maxBlock    = 1 << 20
	packetBlock = 6
)

// Capture records PPP frames into w, as the query of /captures says, until ctx is done or the
// daemon ends it. It writes whole blocks, so that the file is valid in each case. It calls begun
// when the capture runs, and gives the number of frames.
func (c *Client) Capture(ctx context.Context, query url.Values, w io.Writer, begun func()) (frames int, err error) {
	body, err := c.do(ctx, http.MethodPost, "/captures?"+query.Encode(), nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	begun()
	for {
		block, err := readBlock(body)
		switch {
		case errors.Is(err, io.EOF), err != nil && ctx.Err() != nil:
			return frames, nil
		case err != nil:
			return frames, fmt.Errorf("the daemon has ended: %w", err)
		}
		if binary.LittleEndian.Uint32(block) == packetBlock {
			frames++
		}
		if _, err := w.Write(block); err != nil {
			return frames, err
		}
	}
}

func readBlock(r io.Reader) ([]byte, error) {
	var head [blockHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[4:])
	if n < minBlock || n > maxBlock {
		return nil, errors.New("no pcapng")
	}
	block := make([]byte, n)
	copy(block, head[:])
	if _, err := io.ReadFull(r, block[blockHead:]); err != nil {
		return nil, errors.Join(errors.New("it is cut short"), err)
	}
	return block, nil
}
