package nats_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// roles are those that a development set-up has a seed for.
func (s *secured) roles(tb testing.TB) (names []string) {
	tb.Helper()
	seeds, err := filepath.Glob(s.secret("*.nk"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, seed := range seeds {
		names = append(names, strings.TrimSuffix(filepath.Base(seed), ".nk"))
	}
	return names
}

// minForbidden is the least number of actions that are denied to a role and tried.
const minForbidden = 8

func TestRolesDoWhatTheyNeedAndNothingElse(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	all, roles := actions(t, s), s.roles(t)
	if len(roles) < 5+len(types(t)) {
		t.Fatalf("only the roles %v", roles)
	}
	allowed, forbidden := make(map[string]int), make(map[string]int)
	for _, a := range all {
		for name := range strings.FieldsSeq(a.roles) {
			if !slices.Contains(roles, name) {
				t.Errorf("%s is allowed to %s, which is no role", a.what, name)
			}
		}
		for _, role := range roles {
			err := s.try(t, role, a)
			switch {
			case a.allows(role):
				allowed[role]++
				if err != nil {
					t.Errorf("%s cannot %s on %s: %v", role, a.what, a.subject, err)
				}
			default:
				forbidden[role]++
				if !errors.Is(err, errForbidden) || !strings.Contains(err.Error(), `"`+renamed(a.subject)+`"`) {
					t.Errorf("%s can %s on %s: %v", role, a.what, a.subject, err)
				}
			}
		}
	}
	for _, role := range roles {
		t.Logf("%-15s %3d allowed, %3d forbidden", role, allowed[role], forbidden[role])
		if allowed[role] == 0 || forbidden[role] < minForbidden {
			t.Errorf("%s: %d allowed and %d forbidden actions were tried", role, allowed[role], forbidden[role])
		}
	}
}

func TestEveryTypeHasItsRole(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range types(t) {
		name := strings.ToUpper(string(typ))
		for _, want := range []string{"nkey: $CONSUMER_" + name + "_NKEY", "allow: $CONSUMER_" + name + "_INBOX"} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("accounts.conf does not say %q: a type has a role, which subscriber and operator keep away from", want)
			}
		}
	}
}

func TestInboxesOfOthersAreClosed(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	roles := s.roles(t)
	inboxes := make(map[string]string)
	for _, role := range roles {
		conn, err := s.connect(role)
		if err != nil {
			t.Fatal(err)
		}
		inbox := conn.NewInbox()
		inboxes[role] = inbox[:strings.LastIndex(inbox, ".")] + ".>"
		conn.Close()
	}
	for _, role := range roles {
		for _, owner := range roles {
			err := s.try(t, role, action{"listen at the inbox of " + owner, listen, inboxes[owner], "", ""})
			if own := role == owner; own && err != nil || !own && !errors.Is(err, errForbidden) {
				t.Errorf("%s at the inbox of %s: %v", role, owner, err)
			}
		}
	}
}

func TestStrangersAreSentAway(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	trust := nats.RootCAs(s.secret("ca.pem"))
	other := filepath.Join(t.TempDir(), "others")
	if status := launch(t, built.fanfare(), nil, "provision", "--dev-secrets", other).wait(); status != 0 {
		t.Fatal(status)
	}
	stranger, err := nats.NkeyOptionFromSeed(filepath.Join(other, "operator.nk"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := nats.NkeyOptionFromSeed(s.secret("operator.nk"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		want    error
		options []nats.Option
	}{
		"without an nkey":       {nats.ErrAuthorization, []nats.Option{trust}},
		"with a password":       {nats.ErrAuthorization, []nats.Option{trust, nats.UserInfo("operator", "operator")}},
		"with another's nkey":   {nats.ErrAuthorization, []nats.Option{trust, stranger}},
		"trusting another CA":   {nil, []nats.Option{seed, nats.RootCAs(filepath.Join(other, "ca.pem"))}},
		"trusting the system's": {nil, []nats.Option{seed}},
	} {
		conn, err := nats.Connect(s.url(), append(test.options, nats.Timeout(10*time.Second))...)
		if err == nil {
			conn.Close()
			t.Errorf("%s: connected", name)
		}
		if test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoSecretIsInTheRepository(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"SUA", "password", "token:", "PRIVATE KEY"} {
			if strings.Contains(string(raw), word) {
				t.Errorf("%s says %s", name, word)
			}
		}
	}
}

func TestPublicKeysMayComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newSecured(t, t.TempDir(), nil)
	raw, err := os.ReadFile(s.secret("roles.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(name, "#") {
			env = append(env, name+"="+strings.Trim(value, `"`))
		}
	}
	if err := os.WriteFile(s.secret("roles.conf"), []byte("# see the environment\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, "secure.conf", env...)
	if out := s.as(t, "provisioner", "provision", "--store-max-bytes", "67108864"); !strings.Contains(out, "provisioned") {
		t.Error(out)
	}
}
