package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"fanfare/pkg/callback"
	"fanfare/pkg/media"
	"fanfare/pkg/result"
)

// Archive holds the commands on the archive.
type Archive struct {
	Verify ArchiveVerify `cmd:"" help:"Hash every archived file again, and compare it with the result.json beside it; exit status 1 when something is damaged."`
}

// ArchiveVerify is the command archive verify.
type ArchiveVerify struct {
	ArchiveURL string `placeholder:"URL" help:"The archive, as a gocloud.dev/blob URL such as file:///srv/archive or s3://bucket (default: file, in archive/ of the data directory)."`
	DataDir    string `default:"./fanfare-data" type:"path" help:"Directory whose archive/ is the default archive."`
	Type       string `placeholder:"TYPE" help:"Only this callback type (default: all)."`
	Workers    int    `default:"4" help:"Tasks whose files are read at the same time."`
	JSON       bool   `name:"json" help:"One JSON object a line, the summary last (default: a table)."`
}

// errDamaged reports an archive that does not hold what its manifests say.
var errDamaged = errors.New("the archive is damaged")

// Run verifies. It takes no lock and writes nothing, so consumers may go on: what
// they are at shows as a note.
func (c *ArchiveVerify) Run(ctx context.Context, env Env) error {
	if c.Workers < 1 {
		return errors.New("--workers: want at least 1")
	}
	if c.Type != "" {
		if _, err := callback.ParseType(c.Type); err != nil {
			return err
		}
	}
	location, err := Work{ArchiveURL: c.ArchiveURL}.archiveURL(c.DataDir)
	if err != nil {
		return err
	}
	archive, err := media.OpenExistingArchive(ctx, location)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()

	v := &verifier{archive: archive, out: env.Out, json: c.JSON}
	stop := v.follow(env.Err)
	err = v.run(ctx, c.Type, c.Workers)
	stop()
	if err != nil {
		return err
	}
	if err := v.summarize(); err != nil {
		return err
	}
	if v.Damaged > 0 {
		return errDamaged
	}
	return nil
}

// Problems of an archive: damage first, then what is worth a note.
const (
	problemMissing     = "missing"      // the manifest names a file that is not there
	problemSize        = "wrong_size"   // a file has another size than its manifest says
	problemHash        = "wrong_hash"   // a file of the right size holds something else
	problemUnreadable  = "unreadable"   // a file or a folder could not be read
	problemBadManifest = "bad_manifest" // a manifest is no result of its task

	problemUnnamed   = "unnamed"   // no manifest names the file
	problemTemporary = "temporary" // a file is on its way, or was left there
	problemForeign   = "foreign"   // nothing that an archive stores
)

// finding is one thing that is not as it should be.
type finding struct {
	Key     string `json:"key"`
	Problem string `json:"problem"`
	Damage  bool   `json:"damage"`
	Detail  string `json:"detail,omitempty"`
}

// tally is what was verified and found.
type tally struct {
	Manifests int64 `json:"manifests"`
	Files     int64 `json:"files"` // read and hashed
	Bytes     int64 `json:"bytes"`
	Damaged   int64 `json:"damaged"`
	Notes     int64 `json:"notes"`
}

// batchSize bounds how many entries of a folder are judged at a time. A batch for
// each worker, and a manifest, are all that is held in memory.
const batchSize = 256

// batch holds entries of one folder.
type batch struct {
	folder  string
	entries []media.Entry
}

// verifier holds every file of an archive against the manifest beside it.
type verifier struct {
	archive *media.Archive
	json    bool

	mu  sync.Mutex
	out io.Writer
	bar *progressbar.ProgressBar // nil: nobody looks
	tally
}

// run verifies what lies below the folder, or everything for "".
func (v *verifier) run(ctx context.Context, folder string, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan batch)
	group.Go(func() error {
		defer close(batches)
		return v.gather(ctx, folder, batches)
	})
	for range workers {
		group.Go(func() error {
			for b := range batches {
				if err := v.judge(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// gather lists the archive in batches.
func (v *verifier) gather(ctx context.Context, folder string, batches chan<- batch) error {
	var b batch
	send := func() error {
		if len(b.entries) == 0 {
			return nil
		}
		select {
		case batches <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for entry, err := range v.archive.List(ctx, folder) {
		if err != nil {
			if ctx.Err() != nil || entry.Key == "" {
				return err
			}
			if err := v.report(problemUnreadable, true, entry.Key, err.Error()); err != nil {
				return err
			}
			continue
		}
		if in := path.Dir(entry.Key); in != b.folder || len(b.entries) == batchSize {
			if err := send(); err != nil {
				return err
			}
			b = batch{folder: in}
		}
		b.entries = append(b.entries, entry)
	}
	return send()
}

// judge holds a batch against the manifest of its folder.
func (v *verifier) judge(ctx context.Context, b batch) error {
	doc, bad, err := v.manifest(ctx, b.folder)
	if err != nil {
		return err
	}
	named := make(map[string]bool, len(doc.Media))
	for _, m := range doc.Media {
		named[m.Key] = m.Archived()
	}
	for _, entry := range b.entries {
		switch isManifest := path.Base(entry.Key) == media.ManifestName; {
		case entry.Temporary:
			err = v.report(problemTemporary, false, entry.Key, "")
		case entry.Foreign:
			err = v.report(problemForeign, false, entry.Key, "")
		case isManifest && bad != nil:
			err = v.report(problemBadManifest, true, entry.Key, bad.Error())
		case isManifest:
			err = v.verify(ctx, doc)
		case bad == nil && !named[entry.Key]:
			err = v.report(problemUnnamed, false, entry.Key, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// manifest reads a folder's manifest; one that is not there names nothing. bad
// says why it is of no use.
func (v *verifier) manifest(ctx context.Context, folder string) (doc result.Document, bad, err error) {
	body, err := v.archive.Manifest(ctx, path.Join(folder, media.ManifestName))
	switch {
	case ctx.Err() != nil:
		return doc, nil, ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return doc, nil, nil
	case err != nil:
		return doc, err, nil
	}
	if doc, err = result.Decode(body); err != nil {
		return doc, err, nil
	}
	if of := path.Dir(doc.Key(media.ManifestName)); of != folder {
		return result.Document{}, fmt.Errorf("the result of %.200q", of), nil
	}
	for _, m := range doc.Media {
		if m.Archived() && m.Key != doc.Key(m.Name) {
			return result.Document{}, fmt.Errorf("%.200q is said to lie at %.200q", m.Name, m.Key), nil
		}
	}
	return doc, nil, nil
}

// verify reads every file that the manifest names.
func (v *verifier) verify(ctx context.Context, doc result.Document) error {
	v.count(tally{Manifests: 1})
	for _, m := range doc.Media {
		if !m.Archived() {
			continue
		}
		file, err := v.archive.Hash(ctx, m.Key)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			v.count(tally{Files: 1, Bytes: file.Bytes})
		}
		if err := v.compare(m, file, err); err != nil {
			return err
		}
	}
	return nil
}

// compare reports how a file differs from what its manifest says of it.
func (v *verifier) compare(m result.Media, file media.File, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return v.report(problemMissing, true, m.Key, "")
	case errors.Is(err, media.ErrInvalid):
		return v.report(problemBadManifest, true, m.Key, err.Error())
	case err != nil:
		return v.report(problemUnreadable, true, m.Key, err.Error())
	case file.Bytes != m.Bytes:
		return v.report(problemSize, true, m.Key, fmt.Sprintf("%d bytes, want %d", file.Bytes, m.Bytes))
	case file.SHA256 != m.SHA256:
		return v.report(problemHash, true, m.Key, fmt.Sprintf("SHA-256 %s, want %.64q", file.SHA256, m.SHA256))
	}
	return nil
}

func (v *verifier) count(more tally) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Manifests += more.Manifests
	v.Files += more.Files
	v.Bytes += more.Bytes
}

// report counts and writes a finding, in place of the bar on a terminal.
func (v *verifier) report(problem string, damage bool, key, detail string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.bar != nil {
		_ = v.bar.Clear()
	}
	if damage {
		v.Damaged++
	} else {
		v.Notes++
	}
	if v.json {
		return writeJSON(v.out, finding{Key: key, Problem: problem, Damage: damage, Detail: detail})
	}
	if v.Damaged+v.Notes == 1 {
		if err := write(v.out, "PROBLEM       KEY"); err != nil {
			return err
		}
	}
	if problem == problemForeign {
		key = strconv.Quote(key) // it may hold anything, terminal codes included
	}
	if detail != "" {
		detail = ": " + detail
	}
	return write(v.out, fmt.Sprintf("%-12s  %s%s", problem, key, detail))
}

func (v *verifier) summarize() error {
	if v.json {
		return writeJSON(v.out, struct {
			Summary tally `json:"summary"`
		}{v.tally})
	}
	return write(v.out, fmt.Sprintf("%d manifests, %d files with %d bytes read: %d damaged, %d notes",
		v.Manifests, v.Files, v.Bytes, v.Damaged, v.Notes))
}

// barInterval is how often a terminal is told how far the work is.
const barInterval = 200 * time.Millisecond

// follow shows on a terminal how much has been read, until the returned function
// is called. That a terminal cannot be written to is no reason to stop.
func (v *verifier) follow(w io.Writer) (stop func()) {
	file, ok := w.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() {}
	}
	v.bar = progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("verifying"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),                 // without which a bar of no known length is not drawn
		progressbar.OptionSetSpinnerChangeInterval(0), // which would take a goroutine that ends with the bar
		progressbar.OptionSetElapsedTime(true),
	)
	_ = v.bar.RenderBlank()
	quit := make(chan struct{})
	var shown sync.WaitGroup
	shown.Go(func() {
		ticker := time.NewTicker(barInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				v.mu.Lock()
				_ = v.bar.Set64(v.Bytes)
				v.mu.Unlock()
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		shown.Wait()
		_ = v.bar.Clear()
	}
}
