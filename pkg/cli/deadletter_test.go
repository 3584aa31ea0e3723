package cli_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestDeadLettersAreListedAndShown(t *testing.T) {
	t.Parallel()
	m := startMourning(t)
	if out, _ := m.command(t, 0, "list"); strings.Count(out, "\n") != 1 {
		t.Errorf("list of nothing:\n%s", out)
	}
	if got := m.numbers(t); len(got) != 0 {
		t.Errorf("list of nothing: %v", got)
	}
	m.bury(t, "wav", "t1")
	m.bury(t, "music", "t2")
	between := time.Now().Format(time.RFC3339Nano)
	m.bury(t, "wav", "t3")

	out, _ := m.command(t, 0, "list")
	if row := regexp.MustCompile(`(?m)^2 +\S+Z +music +complete +t2 +permanent +1 +\S`); strings.Count(out, "\n") != 4 || !row.MatchString(out) {
		t.Errorf("list:\n%s", out)
	}
	for _, row := range []struct {
		args []string
		want []int
	}{
		{nil, []int{1, 2, 3}},
		{[]string{"--type", "wav"}, []int{1, 3}},
		{[]string{"--type", "cover"}, nil},
		{[]string{"--reason", "permanent"}, []int{1, 2, 3}},
		{[]string{"--reason", "gave_up"}, nil},
		{[]string{"--task", "t2"}, []int{2}},
		{[]string{"--task", "t2", "--type", "wav"}, nil},
		{[]string{"--since", between}, []int{3}},
		{[]string{"--until", between}, []int{1, 2}},
		{[]string{"--since", "1h"}, []int{1, 2, 3}},
		{[]string{"--until", "1h"}, nil},
		{[]string{"--since", "2h", "--until", "0s", "--type", "wav"}, []int{1, 3}},
	} {
		if got := m.numbers(t, row.args...); !slices.Equal(got, row.want) {
			t.Errorf("%v lists %v, want %v", row.args, got, row.want)
		}
	}

	if body, _ := m.command(t, 0, "show", "--body", "1"); body != m.body("wav", "t1") {
		t.Errorf("show --body: %q", body)
	}
	shown, _ := m.command(t, 0, "show", "1")
	for _, want := range []string{"Fanfare-Reason: permanent\n", "Fanfare-Subject: callbacks.wav.complete\n", "ce-subject: t1\n", "\n\n{\n\t\"code\": 200,\n", "secret\ufffdpayload"} {
		if !strings.Contains(shown, want) {
			t.Errorf("show does not say %q:\n%s", want, shown)
		}
	}
}

func TestDeadLetterListForMachines(t *testing.T) {
	t.Parallel()
	m := startMourning(t)
	m.bury(t, "wav", "t1")
	out, _ := m.command(t, 0, "list", "--json")
	var letter struct {
		Number     int               `json:"number"`
		Type       string            `json:"type"`
		TaskID     string            `json:"task_id"`
		Stage      string            `json:"stage"`
		MessageID  string            `json:"message_id"`
		Subject    string            `json:"subject"`
		Reason     string            `json:"reason"`
		Deliveries int               `json:"deliveries"`
		LastError  string            `json:"last_error"`
		Received   time.Time         `json:"received"`
		Died       time.Time         `json:"died"`
		Header     map[string]string `json:"header"`
		Body       []byte            `json:"body"`
	}
	if err := json.Unmarshal([]byte(out), &letter); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if letter.Number != 1 || letter.Type != "wav" || letter.TaskID != "t1" || letter.Stage != "complete" || letter.MessageID != "wav/t1/complete/200" ||
		letter.Subject != "callbacks.wav.complete" || letter.Reason != "permanent" || letter.Deliveries != 1 || letter.LastError == "" {
		t.Errorf("%s", out)
	}
	if string(letter.Body) != m.body("wav", "t1") || letter.Header["ce-id"] != letter.MessageID {
		t.Errorf("header %v, body %q", letter.Header, letter.Body)
	}
	if letter.Received.IsZero() || letter.Died.Before(letter.Received) || time.Since(letter.Died) > patience {
		t.Errorf("received %s, died %s", letter.Received, letter.Died)
	}
}

func TestDeadLetterCommandsThatAreNoneDoNothing(t *testing.T) {
	t.Parallel()
	m := startMourning(t)
	m.bury(t, "wav", "t1", "t2")
	for _, row := range []struct {
		args []string
		want string // on stderr
	}{
		{[]string{"replay"}, "or --all"},
		{[]string{"delete"}, "or --all"},
		{[]string{"replay", "--rate", "5"}, "or --all"},
		{[]string{"replay", "1", "--all"}, "exclude one another"},
		{[]string{"delete", "1", "--type", "wav"}, "exclude one another"},
		{[]string{"delete", "--all", "--task", "t1"}, "exclude one another"},
		{[]string{"replay", "--all", "--rate", "0"}, "--rate 0: want more than 0"},
		{[]string{"replay", "--all", "--rate", "NaN"}, "--rate NaN: want more than 0"},
		{[]string{"replay", "--all", "--rate=-1"}, "--rate -1: want more than 0"},
		{[]string{"list", "--since", "yesterday"}, `--since "yesterday": want a time`},
		{[]string{"delete", "--until=-2h"}, `--until "-2h": want a time`},
		{[]string{"delete", "--since", "1h", "--until", "2h"}, "--until 2h is before --since 1h"},
		{[]string{"replay", "--type", "WAV"}, `type "WAV"`},
		{[]string{"show", "3"}, "dead-letter list shows which there are"},
		{[]string{"show", "0"}, "dead-letter list shows which there are"},
	} {
		if out, err := m.command(t, 1, row.args...); !strings.Contains(err, row.want) || out != "" {
			t.Errorf("%v: says %s%s, want %s", row.args, out, err, row.want)
		}
	}
	for _, verb := range []string{"replay", "delete"} {
		if out, err := m.command(t, 1, verb, "0", "7"); !strings.Contains(out, "0  is not there") || !strings.Contains(out, "7  is not there") || !strings.Contains(err, "2 of 2") {
			t.Errorf("%s of wrong numbers: %s%s", verb, out, err)
		}
		if out, _ := m.command(t, 0, verb, "--type", "cover"); out != "there is no such dead letter\n" {
			t.Errorf("%s of none: %s", verb, out)
		}
	}
	if got := m.numbers(t); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("left are %v", got)
	}
	if n := m.messages(t, "redeliver.>"); n != 0 {
		t.Errorf("%d redeliveries", n)
	}
}

func TestDeadLettersAreDeleted(t *testing.T) {
	t.Parallel()
	m := startMourning(t)
	m.bury(t, "wav", "t1", "t2", "t3")
	m.bury(t, "music", "t4")
	if out, _ := m.command(t, 1, "delete", "2", "9", "2", "1"); out != "1  wav  t1  complete  deleted\n2  wav  t2  complete  deleted\n9  is not there: dead-letter list shows which there are\n" {
		t.Errorf("delete says\n%s", out)
	}
	m.command(t, 0, "delete", "--type", "music")
	if got := m.numbers(t); !slices.Equal(got, []int{3}) {
		t.Errorf("left are %v", got)
	}
	m.command(t, 0, "delete", "--all")
	if got := m.numbers(t); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
	if n := m.messages(t, "redeliver.>"); n != 0 {
		t.Errorf("%d redeliveries", n)
	}
}

func TestDeadLetterCommandsOnAnEmptyServer(t *testing.T) {
	t.Parallel()
	s := &separate{standalone: newStandalone(t)}
	s.startNATS(t)
	for _, args := range [][]string{{"list"}, {"show", "1"}, {"replay", "--all"}, {"delete", "1"}} {
		p := fanfare(t, append(append([]string{"dead-letter"}, args...), "--nats-url", "nats://"+s.nats)...)
		if status := p.wait(); status != 1 || !strings.Contains(p.out.String()+p.err.String(), "there is no stream DEAD_LETTERS: run fanfare provision") {
			t.Errorf("%v: status %d: %s%s", args, status, p.out.String(), p.err.String())
		}
	}
}
