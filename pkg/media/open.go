package media

import (
	"context"
	"fmt"
	"net/url"
)

// OpenArchive opens the archive at a gocloud.dev/blob URL:
//
//	file:///var/lib/fanfare/archive?min_free_bytes=268435456
//	s3://bucket?region=eu-central-1&endpoint=https://s3.example&use_path_style=true&prefix=media/
//
// The directory of a file archive is created. With min_free_bytes, in bytes,
// [Archive.Check] wants that much to be free; the default is 256 MiB, and 0 asks
// for nothing.
//
// An S3 archive needs a bucket, or a prefix that ends in "/", of its own. It takes
// the parameters of gocloud.dev/blob/s3blob; region may come from AWS_REGION or
// the AWS configuration instead, and credentials only come from the AWS
// environment, files or instance, never from the URL. The store is trusted, unlike
// media hosts: it may be anywhere, and be reached through the environment's proxy.
// Nothing is requested yet: whether the bucket is there says [Archive.Check].
//
// The error wraps [ErrInvalid] for the URL or [ErrArchive] for the directory.
func OpenArchive(ctx context.Context, rawURL string) (*Archive, error) {
	return openArchive(ctx, rawURL, true)
}

// OpenExistingArchive opens an archive as [OpenArchive] does, but creates no
// directory: that there is none is an error that wraps [ErrArchive].
func OpenExistingArchive(ctx context.Context, rawURL string) (*Archive, error) {
	return openArchive(ctx, rawURL, false)
}

func openArchive(ctx context.Context, rawURL string, create bool) (*Archive, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: archive URL cannot be read", ErrInvalid)
	}
	switch u.Scheme {
	case "file":
		return openDirectory(ctx, u, create)
	case "s3":
		return openObjects(ctx, u)
	default:
		return nil, fmt.Errorf("%w: archive URL scheme %q: want file or s3", ErrInvalid, u.Scheme)
	}
}
