package media

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// staleAfter is longer than any upload of ours takes.
const staleAfter = 24 * time.Hour

// probeKey is what a probe begins to upload.
const probeKey = "probe"

// probe uploads a part and drops it: nothing becomes visible under a key.
func (o *objects) probe(ctx context.Context) error {
	key := o.prefix + probeKey
	begun, err := o.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &o.bucket, Key: &key, ServerSideEncryption: o.options.EncryptionType, SSEKMSKeyId: optional(o.options.KMSEncryptionID),
	})
	if err != nil {
		return err
	}
	number := int32(1)
	_, err = o.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &o.bucket, Key: &key, UploadId: begun.UploadId, PartNumber: &number, Body: strings.NewReader("probe"),
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWait)
	defer cancel()
	if aborted := o.abort(ctx, key, begun.UploadId); err == nil {
		err = aborted
	}
	return err
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func (o *objects) abort(ctx context.Context, key string, upload *string) error {
	_, err := o.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &o.bucket, Key: &key, UploadId: upload})
	return err
}

// sweep aborts the multipart uploads that processes of ours left when they died,
// or aborted while a part was still on its way: their parts are stored and paid
// for. A rule of the bucket's lifecycle (AbortIncompleteMultipartUpload) does the
// same, also for stores that list no uploads.
func (o *objects) sweep(ctx context.Context) (removed int, err error) {
	input := &s3.ListMultipartUploadsInput{Bucket: &o.bucket, Prefix: optional(o.prefix)}
	for {
		page, err := o.client.ListMultipartUploads(ctx, input)
		if err != nil {
			return removed, archiveError(ctx, err)
		}
		for _, upload := range page.Uploads {
			if !o.isStale(upload, time.Now()) {
				continue
			}
			switch err := o.abort(ctx, *upload.Key, upload.UploadId); {
			case err == nil:
				removed++
			case !hasCode(err, codeNoUpload): // that is, no other sweeper was faster
				return removed, archiveError(ctx, err)
			}
		}
		if page.IsTruncated == nil || !*page.IsTruncated || page.NextKeyMarker == nil {
			return removed, nil
		}
		input.KeyMarker, input.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
	}
}

// isStale reports an upload to a key such as ours are, which began so long ago
// that nobody is at it any more.
func (o *objects) isStale(upload types.MultipartUpload, now time.Time) bool {
	if upload.Key == nil || upload.Initiated == nil || now.Sub(*upload.Initiated) < staleAfter {
		return false
	}
	key := strings.TrimPrefix(*upload.Key, o.prefix)
	return key == probeKey || strings.Count(path.Dir(key), "/") == 1 && checkKey(key) == nil
}
