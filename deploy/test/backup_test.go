package deploy_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"fanfare/deploy/test/eventually"
)

// stored is everything that a server has, each thing as one line.
type stored map[string][]string

// streams are all that there are, with those behind the buckets.
func streams() []string {
	return []string{"CALLBACKS", "QUARANTINE", "DEAD_LETTERS", "TASKS", "KV_RESULTS", "KV_TASKS_STATE"}
}

// durablesOf are the durables of fanfare's own, by their streams. The reconciler of a
// provider has one on TASKS that is named after it.
func durablesOf(provider string) map[string][]string {
	return map[string][]string{
		"CALLBACKS": {"music", "video", "wav", "cover", "reconciler"},
		"TASKS":     {"reconciler_" + strings.NewReplacer(".", "=2E", ":", "=3A").Replace(provider)},
	}
}

// everything reads each message of each stream with its number, its time and its
// headers, what each stream says of itself, and how far each durable is.
func everything(t *testing.T, js jetstream.JetStream, provider string) stored {
	t.Helper()
	all := make(stored)
	for _, name := range streams() {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		info, err := stream.Info(t.Context(), jetstream.WithDeletedDetails(true))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		state := info.State
		all[name] = append(all[name], fmt.Sprintf("%+v", info.Config), fmt.Sprintf("%d messages from %d at %s to %d at %s without %v, %d subjects, %d durables",
			state.Msgs, state.FirstSeq, state.FirstTime, state.LastSeq, state.LastTime, state.Deleted, state.NumSubjects, state.Consumers))
		for next := uint64(1); ; next++ {
			msg, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(">"))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				break
			}
			if err != nil {
				t.Fatalf("%s %d: %v", name, next, err)
			}
			next = msg.Sequence
			all[name] = append(all[name], fmt.Sprintf("%d %s %s %q %q", msg.Sequence, msg.Subject, msg.Time, sorted(msg.Header), msg.Data))
		}
		for _, durable := range durablesOf(provider)[name] {
			consumer, err := stream.Consumer(t.Context(), durable)
			if err != nil {
				t.Fatalf("%s %s: %v", name, durable, err)
			}
			i := consumer.CachedInfo()
			all[name] = append(all[name], fmt.Sprintf("%s %+v: delivered %d %d, floor %d %d, %d unacked, %d redelivered, %d to come", durable, i.Config,
				i.Delivered.Stream, i.Delivered.Consumer, i.AckFloor.Stream, i.AckFloor.Consumer, i.NumAckPending, i.NumRedelivered, i.NumPending))
		}
	}
	return all
}

func sorted(header map[string][]string) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		lines = append(lines, fmt.Sprint(name, header[name]))
	}
	return lines
}

// same reports what differs.
func (s stored) same(t *testing.T, as stored) {
	t.Helper()
	for name, lines := range s {
		if len(lines) != len(as[name]) {
			t.Errorf("%s: %d things, were %d", name, len(lines), len(as[name]))
		}
		for i := range min(len(lines), len(as[name])) {
			if lines[i] != as[name][i] {
				t.Errorf("%s: is\n%s\nwas\n%s", name, lines[i], as[name][i])
			}
		}
	}
}

// backupRig is fanfare as processes with roles of their own, a media host, and a
// provider that knows nothing.
type backupRig struct {
	*natsRig
	dir, media, provider string
	gateway              string // URL of callbacks of wav
	consumer             *process
	processes            []*process
}

func startBackupRig(t *testing.T, r *natsRig) *backupRig {
	t.Helper()
	media := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "RIFF\x24\x00\x00\x00WAVEfmt "+r.URL.Path)
	}))
	t.Cleanup(media.Close)
	b := &backupRig{natsRig: r, dir: t.TempDir(), media: media.URL, provider: ignorantProvider(t)}
	b.run(t)
	return b
}

// run starts the processes.
func (b *backupRig) run(t *testing.T) {
	t.Helper()
	fanfare, key := built.fanfare(t), write(t, b.dir, "key", []byte("a key of the provider's API"))
	host := strings.TrimPrefix(b.media, "http://")
	b.consumer = start(t, fanfare, b.as("consumer-wav", "consumer", "wav", "--archive-url", "file://"+b.archive(), "--egress-allow", host)...)
	reconciler := start(t, fanfare, b.as("reconciler", "reconciler", "--provider-url", b.provider, "--provider-key-file", key, "--egress-allow", "127.0.0.1")...)
	gateway := start(t, fanfare, b.as("gateway", "gateway", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")...)
	b.gateway = "http://" + gateway.says(t, `"listen":"([^"]+)"`) + "/callbacks/wav"
	b.processes = []*process{gateway, reconciler, b.consumer}
}

func (b *backupRig) archive() string { return filepath.Join(b.dir, "archive") }

func (b *backupRig) stop() {
	for _, p := range b.processes {
		p.stop()
	}
}

func (b *backupRig) callback(task, file string) string {
	return callbackOf(task, b.media+"/"+file)
}

func callbackOf(task, url string) string {
	return fmt.Sprintf(`{"code":200,"msg":"success","data":{"task_id":%q,"audioWavUrl":%q}}`, task, url)
}

// fill brings something into every stream, and leaves callbacks that no consumer has seen.
func (b *backupRig) fill(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	const tasks = 20
	for i := range tasks {
		post(t, b.gateway, b.callback(fmt.Sprintf("good-%d", i), "a.wav"))
		post(t, b.gateway, b.callback(fmt.Sprintf("good-%d", i), "a.wav")) // again, which the ledger's bucket notes
	}
	post(t, b.gateway, b.callback("good-0", "another.wav"))           // which contradicts the first
	post(t, b.gateway, callbackOf("bad", "http://127.0.0.1:1/a.wav")) // from where nothing may be fetched, so it dies
	for i := range 3 {
		once(t, built.fanfare(t), b.as("operator", "expect", "wav", fmt.Sprintf("expected-%d", i))...)
	}
	for stream, least := range map[string]uint64{"CALLBACKS": tasks + 1, "QUARANTINE": 1, "DEAD_LETTERS": 1, "TASKS": 3, "KV_RESULTS": tasks + 1, "KV_TASKS_STATE": 3} {
		eventually.Await(t, stream+" to fill", func() bool {
			s, err := js.Stream(t.Context(), stream)
			return err == nil && s.CachedInfo().State.Msgs >= least
		})
	}
	eventually.Await(t, "the consumer to be done", func() bool {
		wav, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
		return err == nil && wav.CachedInfo().AckFloor.Stream == tasks+1
	})
	b.consumer.stop()
	for i := range 5 {
		post(t, b.gateway, b.callback(fmt.Sprintf("unseen-%d", i), "a.wav"))
	}
	eventually.Await(t, "the reconciler to be done", func() bool {
		noted, err := js.Consumer(t.Context(), "CALLBACKS", "reconciler")
		return err == nil && noted.CachedInfo().AckFloor.Stream == tasks+1+5
	})
}

// TestBackupIsRestored takes a secured server's backup and restores it to an empty one,
// with the commands of the README, and goes on.
func TestBackupIsRestored(t *testing.T) {
	t.Parallel()
	r := newNATSRig(t)
	server := r.start(t, t.TempDir())
	fanfare := built.fanfare(t)
	once(t, fanfare, r.as("provisioner", "provision", "--store-max-bytes", "268435456")...)
	b := startBackupRig(t, r)
	js := r.operator(t)
	b.fill(t, js)
	b.stop()
	provider := strings.TrimPrefix(b.provider, "http://")
	before := everything(t, js, provider)

	lines := readmeLines(t, "### Back up and restore", "nats ")
	if len(lines) != 5 {
		t.Fatalf("the commands are %q", lines)
	}
	saveBackup, backup, validate, saveProvisioner, restore := lines[0], lines[1], lines[2], lines[3], lines[4]
	sh := newShell(t)
	for _, name := range []string{"ca.pem", "backup.nk", "provisioner.nk"} {
		write(t, sh.dir, name, read(t, r.secret(name)))
	}
	b.save(t, sh, "backup", saveBackup)
	sh.run(t, backup)
	sh.run(t, strings.Replace(validate, "CALLBACKS", "KV_RESULTS", 1))
	sh.run(t, validate)

	server.stop()
	store := t.TempDir()
	server = r.start(t, store)
	b.save(t, sh, "provisioner", saveProvisioner)
	sh.run(t, restore)
	js = r.operator(t)
	everything(t, js, provider).same(t, before)
	if out, err := sh.try(t, restore); err == nil || !strings.Contains(out, "exists already") {
		t.Errorf("restored over what is there: %v", err)
	}
	server.stop()
	server = r.start(t, store) // which knows the message IDs of what was restored from now on
	js = r.operator(t)
	everything(t, js, provider).same(t, before)
	provision := start(t, fanfare, r.as("provisioner", "provision", "--store-max-bytes", "268435456")...)
	provision.says(t, `(provisioned)`)
	if strings.Contains(provision.String(), "WARN") {
		t.Error("what is restored is not what was provisioned")
	}
	b.goOn(t, js)
	if strings.Contains(server.String(), "Violation") {
		t.Error("somebody tried what is forbidden")
	}
}

// goOn starts everything again and checks that what was done before the backup is not
// done again, and what was not is.
func (b *backupRig) goOn(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	b.run(t)
	post(t, b.gateway, b.callback("good-1", "a.wav")) // which is known, 24 hours long
	post(t, b.gateway, b.callback("fresh", "a.wav"))
	var last uint64
	eventually.Await(t, "the consumer to be done", func() bool {
		wav, err := js.Consumer(t.Context(), "CALLBACKS", "wav")
		if err != nil {
			return false
		}
		last = wav.CachedInfo().AckFloor.Stream
		return last == 27
	})
	b.stop()
	if n := strings.Count(b.consumer.String(), `"msg":"delivery"`); n != 6 || strings.Contains(b.consumer.String(), "good-") {
		t.Errorf("%d deliveries after the restore, want the five that nobody had seen, and the fresh one", n)
	}
	once(t, built.fanfare(t), "archive", "verify", "--archive-url", "file://"+b.archive())
}
