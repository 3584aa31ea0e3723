package media

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

const (
	// partBytes is the least that S3 takes for a part, and enough for 48 GiB a
	// file. An upload holds at most four times as much: two parts that take turns
	// and, for the first, the buffers in which it grew.
	partBytes = 5 << 20

	// abortWait bounds the end of an upload that failed or was cancelled.
	abortWait = 5 * time.Second

	// stallWait bounds how long a connection to the store may stand still.
	stallWait = time.Minute
)

// objects is what an S3 archive needs beyond gocloud.dev/blob: uploads that take
// little memory, do not hang, and leave no parts behind when they end early.
//
// That another's file stays is the store's doing, by If-None-Match: * on what
// makes a file visible. A store that ignores the header keeps the last of two
// files that were stored at the same moment, and the first is then described
// wrongly; one that refuses it cannot be used.
type objects struct {
	client    *s3.Client
	transport *http.Transport
	bucket    string
	prefix    string
	options   s3blob.Options
}

func openObjects(ctx context.Context, u *url.URL) (*Archive, error) {
	query := u.Query()
	prefix := query.Get("prefix")
	query.Del("prefix")
	if err := checkObjects(u, prefix); err != nil {
		return nil, fmt.Errorf("%w: archive URL: %w", ErrInvalid, err)
	}
	opener := new(s3blob.URLOpener)
	full := &url.URL{Scheme: u.Scheme, Host: u.Host, RawQuery: query.Encode()}
	opened, err := opener.OpenBucketURL(ctx, full)
	if err != nil { // somebody may have put a secret into the query
		return nil, fmt.Errorf("%w: archive URL: %s", ErrInvalid, strings.ReplaceAll(err.Error(), full.String(), "s3://"+u.Host))
	}
	o := &objects{bucket: u.Host, prefix: prefix, options: opener.Options}
	if !opened.As(&o.client) {
		return nil, fmt.Errorf("%w: archive URL: no S3 client", ErrInvalid)
	}
	if o.client.Options().Region == "" {
		return nil, fmt.Errorf("%w: archive URL: region is missing, as is AWS_REGION", ErrInvalid)
	}
	o.client = s3.New(o.client.Options(), o.bound)
	bucket, err := s3blob.OpenBucket(ctx, o.client, o.bucket, &o.options)
	if err != nil {
		return nil, fmt.Errorf("%w: archive URL: %w", ErrInvalid, err)
	}
	if prefix != "" {
		bucket = blob.PrefixedBucket(bucket, prefix)
	}
	return &Archive{bucket: bucket, objects: o}, nil
}

// checkObjects refuses what gocloud.dev/blob/s3blob would pass over in silence.
func checkObjects(u *url.URL, prefix string) error {
	switch {
	case u.User != nil:
		return errors.New("credentials do not belong there, but into the AWS environment or files")
	case u.Host == "" || u.Port() != "" || u.Opaque != "":
		return errors.New("want s3://bucket?parameters; the store's address is the parameter endpoint")
	case u.Path != "" || u.Fragment != "":
		return errors.New("a path below the bucket is the parameter prefix")
	case prefix == "":
		return nil
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return errors.New("the prefix must end in /")
	}
	return checkKey(folder)
}

// bound makes the client give up a connection that stands still. It keeps what the
// AWS configuration says of certificate authorities.
func (o *objects) bound(options *s3.Options) {
	builder, ok := options.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		builder = awshttp.NewBuildableClient()
	}
	o.transport = builder.GetTransport()
	o.transport.DialContext = stalling(o.transport.DialContext, stallWait)
	options.HTTPClient = &http.Client{
		Transport:     o.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	options.DisableLogOutputChecksumValidationSkipped = true // a line on stderr for each file without one
}

func (o *objects) close() { o.transport.CloseIdleConnections() }

// tune replaces the uploader of a [blob.Writer]: its own takes 64 MiB a file, and
// cannot abort an upload whose context is cancelled.
func (o *objects) tune(as func(any) bool) error {
	var uploader *transfermanager.Client
	if !as(&uploader) {
		return errors.New("archive does not write through the transfer manager")
	}
	*uploader = *transfermanager.New(o.client, func(options *transfermanager.Options) {
		options.PartSizeBytes = partBytes
		options.MultipartUploadThreshold = partBytes
		options.Concurrency = 1
		options.FailTimeout = abortWait
		options.RequestChecksumCalculation = o.options.RequestChecksumCalculation
	})
	return nil
}

// Answers of S3 that mean something to us.
const (
	codeConflict = "ConditionalRequestConflict" // an upload is dropped, for another changed the key meanwhile
	codeNoUpload = "NoSuchUpload"
)

func hasCode(err error, code string) bool {
	var answer interface{ ErrorCode() string }
	return errors.As(err, &answer) && answer.ErrorCode() == code
}
