package consume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/media"
	"fanfare/pkg/result"
)

// maxManifests bounds how often a manifest is written because the result has
// changed meanwhile.
const maxManifests = 8

// Archiver is the handler that records a task's result and archives its media.
type Archiver struct {
	spec    Spec
	results *broker.Results
	archive *media.Archive
	fetcher *media.Fetcher
	metrics *archiverMetrics
}

// NewArchiver returns the handler of one type. fetch's OnFailure is taken by the
// archiver's own metrics.
func NewArchiver(reg prometheus.Registerer, spec Spec, results *broker.Results, archive *media.Archive, fetch media.FetcherOptions) (*Archiver, error) {
	metrics := newArchiverMetrics(reg)
	fetch.OnFailure = metrics.failed
	fetcher, err := media.NewFetcher(fetch)
	if err != nil {
		return nil, fmt.Errorf("consume: archiver of %s: %w", spec.Type, err)
	}
	return &Archiver{spec: spec, results: results, archive: archive, fetcher: fetcher, metrics: metrics}, nil
}

// Close closes the connections to media hosts.
func (a *Archiver) Close() error {
	a.fetcher.Close()
	return nil
}

// Handle records what the callback says, archives its media, and records that.
// A callback that is overtaken by a later state of its task, or contradicts it,
// downloads nothing.
func (a *Archiver) Handle(ctx context.Context, d Delivery) error {
	cb := d.Callback
	if cb.Stage == callback.Other {
		return nil
	}
	assets, err := a.assets(cb)
	if err != nil {
		return err
	}
	doc := result.New(cb, offered(assets))
	merged, err := a.record(ctx, doc, cb.Polled)
	if err != nil {
		return err
	}
	now := merged.After
	if !now.States(doc) || now.Archive == result.None || now.Archive == result.Archived {
		return a.putManifest(ctx, now, merged.Revision)
	}
	failure := a.store(ctx, d, assets, &doc)
	if merged, err = a.record(ctx, doc, cb.Polled); err != nil {
		return err
	}
	if err := a.putManifest(ctx, merged.After, merged.Revision); err != nil {
		return err
	}
	return failure
}

// putManifest puts the result beside the files that are archived, if any are, so
// that the archive tells of itself. Of two that write at the same moment, the one
// that sees the later result writes again; if a replica that lags shows it to neither,
// the manifest is behind RESULTS until the result changes again.
func (a *Archiver) putManifest(ctx context.Context, doc result.Document, revision uint64) error {
	for range maxManifests {
		if !slices.ContainsFunc(doc.Media, result.Media.Archived) {
			return nil
		}
		body, err := doc.Encode()
		if err != nil {
			return err
		}
		if err := a.archive.PutManifest(ctx, doc.Key(media.ManifestName), body); err != nil {
			return err
		}
		now, latest, err := a.results.GetAll(ctx, doc.Type, doc.TaskID)
		if err != nil || latest <= revision { // an earlier one is what a replica knows that lags
			return err
		}
		doc, revision = now, latest
	}
	return fmt.Errorf("%w: the result of %s changes all the time", broker.ErrUnavailable, doc.Key(""))
}

// Probe reports why media could not be archived right now.
func (a *Archiver) Probe(ctx context.Context) error {
	if err := a.archive.Check(ctx); err != nil {
		return err
	}
	return a.archive.Probe(ctx)
}

// Abandon records that a callback's media are given up, if the task's result still
// waits for them.
func (a *Archiver) Abandon(ctx context.Context, cb callback.Callback) error {
	assets, err := a.assets(cb)
	if err != nil {
		return nil //nolint:nilerr // its media are recorded nowhere
	}
	doc, found, err := a.results.Get(ctx, cb.Type, cb.TaskID)
	if err != nil || !found || doc.Archive != result.Pending || !doc.States(result.New(cb, offered(assets))) {
		return err
	}
	doc.Settle(time.Now())
	_, err = a.record(ctx, doc, cb.Polled)
	return err
}

// assets returns the files that the callback offers.
func (a *Archiver) assets(cb callback.Callback) ([]media.Asset, error) {
	if cb.Stage != callback.First && cb.Stage != callback.Complete {
		return nil, nil
	}
	assets, err := a.spec.Media(cb)
	if err != nil {
		return nil, Permanent(fmt.Errorf("consume: media of %s: %w", cb.MessageID(), err))
	}
	return assets, nil
}

// offered describes assets that are not archived yet.
func offered(assets []media.Asset) []result.Media {
	offered := make([]result.Media, len(assets))
	for i, asset := range assets {
		offered[i] = result.Media{Name: asset.Name, SourceURL: asset.URLs[0]}
	}
	return offered
}

// store brings the assets into the archive, notes in doc how each fared and what
// that makes of the whole, and returns why the work is not done, if it is not: a
// permanent error only when nothing is left to hope for.
func (a *Archiver) store(ctx context.Context, d Delivery, assets []media.Asset, doc *result.Document) error {
	var passing, lasting error
	for i, asset := range assets {
		file, err := a.archive.Store(ctx, a.fetcher, doc.Key(asset.Name), asset, d.Moved)
		switch {
		case err == nil:
			a.stored(file, &doc.Media[i])
		case a.lost(err):
			lasting = errors.Join(lasting, err)
			doc.Media[i].Error = reasonOf(err)
		default:
			passing = errors.Join(passing, err)
			doc.Media[i].Error = reasonOf(err)
		}
		if errors.Is(err, media.ErrArchive) || ctx.Err() != nil {
			return errors.Join(passing, ctx.Err()) // the archive, or our own end, is to blame; the rest would fare no better
		}
	}
	if passing != nil && !d.Last {
		return passing
	}
	doc.Settle(time.Now())
	if lasting != nil {
		return Permanent(errors.Join(lasting, passing))
	}
	return passing
}

func (a *Archiver) stored(file media.File, m *result.Media) {
	if file.SourceURL != "" {
		a.metrics.files.Inc()
		a.metrics.bytes.Add(float64(file.Bytes))
		m.SourceURL = file.SourceURL
	}
	m.Key, m.Bytes, m.SHA256, m.ContentType = file.Key, file.Bytes, file.SHA256, file.ContentType
}

// lost reports whether a file cannot be had by trying again.
func (a *Archiver) lost(err error) bool {
	var fetch *media.FetchError
	return errors.Is(err, media.ErrInvalid) || errors.As(err, &fetch) && fetch.Permanent()
}

// reasonOf is a failure in one word, fit for a result: an error's text may hold
// what only operators should see.
func reasonOf(err error) string {
	var fetch *media.FetchError
	switch {
	case errors.As(err, &fetch):
		return string(fetch.Reason)
	case errors.Is(err, media.ErrArchive):
		return "archive_unavailable"
	case errors.Is(err, media.ErrInvalid):
		return "invalid"
	default:
		return "interrupted"
	}
}

// record merges doc into the task's result and counts what is new in it. polled tells
// that the provider was asked for the callback.
func (a *Archiver) record(ctx context.Context, doc result.Document, polled bool) (broker.Merged, error) {
	merged, err := a.results.Merge(ctx, doc)
	if err != nil {
		return merged, err
	}
	now := merged.After
	if !merged.Changed || now.Statement == merged.Before.Statement {
		return merged, nil
	}
	reason := none
	if now.Failure != nil {
		reason = string(now.Failure.Reason)
	}
	a.metrics.results.WithLabelValues(string(now.Outcome), reason).Inc()
	if now.Stage.Final() {
		a.metrics.origins.WithLabelValues(origin(polled)).Inc()
	}
	if now.Stage.Final() && now.Times.Started.Before(now.Times.Received) {
		a.metrics.taskDuration.Observe(now.Times.Received.Sub(now.Times.Started).Seconds())
	}
	return merged, nil
}
