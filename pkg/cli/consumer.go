package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fanfare/consumers"
	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/consume"
	"fanfare/pkg/media"
)

// Work holds the flags of what a consumer does.
type Work struct {
	ArchiveURL  string   `placeholder:"URL" help:"Where media are archived, as a gocloud.dev/blob URL such as file:///srv/archive or s3://bucket?region=eu-central-1 (default: file, in archive/ of the data directory)."`
	EgressAllow []string `placeholder:"ADDRESS" help:"IP, IP:port or CIDR among the special-purpose addresses from which media may be fetched; repeatable (default: none)."`
	MediaHost   []string `placeholder:"HOST" help:"The only hosts from which media may be fetched, each a name, *.name for all below it, or an IP; repeatable (default: every host)."`
	Workers     int      `default:"8" help:"Deliveries of a type that one process handles at the same time."`

	Drain time.Duration `default:"30s" help:"How long deliveries in hand may take at shutdown; then they are handed back for another process."`
}

// Consumer is the command consumer.
type Consumer struct {
	Type      string `arg:"" help:"Callback type, such as music."`
	DataDir   string `default:"./fanfare-data" type:"path" help:"Directory whose archive/ is the default archive."`
	OpsListen string `default:"127.0.0.1:0" help:"Where operators find /metrics, /healthz, /readyz and /debug/pprof; the log says which port was taken."`
	Work
	NATS
}

// Run consumes until ctx ends.
func (c *Consumer) Run(ctx context.Context, env Env) error {
	contracts, err := callback.LoadContracts()
	if err != nil {
		return err
	}
	spec, err := specOf(c.Type)
	if err != nil {
		return err
	}
	p, err := newProcess(ctx, env, "consumer")
	if err != nil {
		return err
	}
	b, err := p.connect(c.NATS, "consumer "+c.Type)
	if err != nil {
		return err
	}
	defer b.Close()
	p.registry.MustRegister(b.Collector([]callback.Type{spec.Type}))
	p.check("broker", b.Check)

	archive, err := c.openArchive(ctx, p, c.DataDir)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	handler, err := c.add(p, spec, contracts, b, archive)
	if err != nil {
		return err
	}
	defer func() { _ = handler.Close() }()
	if err := p.bindOps(c.OpsListen); err != nil {
		return err
	}
	p.logger.Info("started", "type", c.Type, "ops_listen", p.ops.Addr().String())
	return p.run(ctx)
}

func specOf(t string) (consume.Spec, error) {
	var names []callback.Type
	for _, spec := range consumers.All() {
		if string(spec.Type) == t {
			return spec, nil
		}
		names = append(names, spec.Type)
	}
	return consume.Spec{}, fmt.Errorf("no consumer for type %q: the types are %v", t, names)
}

// openArchive opens the archive, which lies in dataDir unless a flag says
// otherwise, and adds what looks after it.
func (w Work) openArchive(ctx context.Context, p *process, dataDir string) (*media.Archive, error) {
	location, err := w.archiveURL(dataDir)
	if err != nil {
		return nil, err
	}
	archive, err := media.OpenArchive(ctx, location)
	if err != nil {
		return nil, err
	}
	sweeper, err := media.NewSweeper(archive, media.SweeperOptions{Logger: p.logger})
	if err != nil {
		_ = archive.Close()
		return nil, err
	}
	p.add(sweeper)
	p.check("archive", archive.Check)
	consume.RegisterArchive(p.registry, archive)
	return archive, nil
}

func (w Work) archiveURL(dataDir string) (string, error) {
	if w.ArchiveURL != "" {
		return w.ArchiveURL, nil
	}
	dir, err := filepath.Abs(filepath.Join(dataDir, "archive"))
	if err != nil {
		return "", fmt.Errorf("find the archive: %w", err)
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}).String(), nil
}

// add adds one consumer to a process, its metrics under its type. What it returns
// is to be closed after the process has run.
func (w Work) add(p *process, spec consume.Spec, contracts callback.Contracts, b *broker.Broker, archive *media.Archive) (io.Closer, error) {
	if w.Drain <= 0 {
		return nil, errors.New("--drain must be more than 0")
	}
	registerer := prometheus.WrapRegistererWith(prometheus.Labels{"type": string(spec.Type)}, p.registry)
	archiver, err := consume.NewArchiver(registerer, spec, b.Results(), archive, media.FetcherOptions{EgressAllow: w.EgressAllow, Hosts: w.MediaHost})
	if err != nil {
		return nil, err
	}
	runner, err := consume.New(consume.Options{
		Logger:     p.logger,
		Registerer: registerer,
		Broker:     b,
		Contract:   contracts[spec.Type],
		Handler:    archiver.Handle,
		Probe:      archiver.Probe,
		Abandon:    archiver.Abandon,
		Workers:    w.Workers,
		Drain:      w.Drain,
	})
	if err != nil {
		return nil, err
	}
	p.add(runner)
	p.check("consumer "+string(spec.Type), runner.Check)
	return archiver, nil
}
