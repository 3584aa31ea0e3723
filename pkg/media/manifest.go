package media

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"gocloud.dev/blob"
)

// ManifestName is the last segment of a manifest's key: the file that lies beside
// the media of a task and says which they are. No asset may have this name.
const ManifestName = "result.json"

// MaxManifestBytes bounds a manifest.
const MaxManifestBytes = 4 << 20

// isManifest heeds file systems that do not tell capitals.
func isManifest(name string) bool { return strings.EqualFold(name, ManifestName) }

func checkManifestKey(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if path.Base(key) != ManifestName {
		return fmt.Errorf("%w: key %s: a manifest's ends in %s", ErrInvalid, key, ManifestName)
	}
	return nil
}

// PutManifest makes body durable under the key, "<type>/<task>/result.json", in
// place of what was there: a reader finds either the one or the other whole. When
// two write at the same moment, one of them stays. The error wraps ctx's own,
// [ErrInvalid] or [ErrArchive].
func (a *Archive) PutManifest(ctx context.Context, key string, body []byte) error {
	if err := checkManifestKey(key); err != nil {
		return fmt.Errorf("put manifest: %w", err)
	}
	if len(body) > MaxManifestBytes {
		return fmt.Errorf("put manifest %s: %w: %d bytes, over %d", key, ErrInvalid, len(body), MaxManifestBytes)
	}
	if err := a.replace(ctx, key, body); err != nil {
		return fmt.Errorf("put manifest %s: %w", key, archiveError(ctx, err))
	}
	return nil
}

func (a *Archive) replace(ctx context.Context, key string, body []byte) error {
	up, err := a.begin(ctx, key, blob.WriterOptions{ContentType: "application/json"})
	if err != nil {
		return err
	}
	defer up.abort()
	if _, err := up.Write(body); err != nil {
		return err
	}
	return up.commit()
}

// Manifest returns what [Archive.PutManifest] has put under the key. The error
// wraps [fs.ErrNotExist] when there is nothing, ctx's own, [ErrInvalid] also for
// what is over [MaxManifestBytes], or [ErrArchive].
func (a *Archive) Manifest(ctx context.Context, key string) ([]byte, error) {
	if err := checkManifestKey(key); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	var body bytes.Buffer
	err := a.read(ctx, key, func(r io.Reader) error {
		_, err := io.Copy(&body, io.LimitReader(r, MaxManifestBytes+1))
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read manifest %s: %w", key, err)
	case body.Len() > MaxManifestBytes:
		return nil, fmt.Errorf("read manifest %s: %w: over %d bytes", key, ErrInvalid, MaxManifestBytes)
	}
	return body.Bytes(), nil
}
