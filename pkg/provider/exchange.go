package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fanfare/pkg/callback"
	"fanfare/pkg/media"
)

// maxBodyBytes bounds what is read of an answer, and a callback that is made of it.
const maxBodyBytes = 1 << 20

// reply is what came back, before anybody has looked into it.
type reply struct {
	status  int           // HTTP; 0: there was no answer
	wait    time.Duration // of Retry-After
	body    []byte        // complete, or nil
	outcome Outcome       // what it means that there is no body, else ""
	detail  string        // why there is none
}

// ask sends one request past http.Client, which would follow redirects, and put
// the URL into its errors.
func (c *Client) ask(ctx context.Context, path string, id callback.TaskID) reply {
	key := c.key()
	if key == "" || !printable(key) {
		return reply{outcome: Refused, detail: "not asked: the key is empty or not printable ASCII"}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	to := *c.base
	to.Path += path
	to.RawQuery = "taskId=" + url.QueryEscape(string(id))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), http.NoBody)
	if err != nil {
		return reply{outcome: Refused, detail: "not asked: the request cannot be built"}
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return unavailable(ctx, err)
	}
	r := read(ctx, resp)
	_ = resp.Body.Close() // what was not read is nobody's
	r.status = resp.StatusCode
	r.wait = media.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	return r
}

// read takes the body of an answer that may have one to look into.
func read(ctx context.Context, resp *http.Response) reply {
	if resp.StatusCode != http.StatusOK && resp.StatusCode < http.StatusBadRequest {
		return reply{}
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return reply{outcome: Unusable, detail: "the answer is encoded although identity was asked for"}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes+1))
	switch {
	case err != nil:
		return unavailable(ctx, err)
	case len(body) > maxBodyBytes:
		return reply{outcome: Unusable, detail: fmt.Sprintf("the answer is over %d bytes", maxBodyBytes)}
	}
	return reply{body: body}
}

func unavailable(ctx context.Context, err error) reply {
	reason, detail := media.Classify(ctx, err)
	if detail != "" {
		detail = ": " + detail
	}
	return reply{outcome: Unavailable, detail: string(reason) + detail}
}

// printable reports whether s can stand in a header.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
