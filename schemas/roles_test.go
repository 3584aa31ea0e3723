package schemas_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// permitted are the subjects that a secured server lets each role publish to, without
// those of JetStream's own API, by the roles' names in deploy/nats/accounts.conf.
func permitted(tb testing.TB) map[string][]string {
	tb.Helper()
	conf, err := os.ReadFile("../deploy/nats/accounts.conf")
	if err != nil {
		tb.Fatal(err)
	}
	may := make(map[string][]string)
	for _, user := range regexp.MustCompile(`(?s)nkey: \$([A-Z_]+)_NKEY\s+permissions \{\s+publish \{\s+allow: \[(.*?)\n\s+\]`).FindAllStringSubmatch(string(conf), -1) {
		role := strings.ReplaceAll(strings.ToLower(user[1]), "_", "-")
		may[role] = nil
		for _, quoted := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(user[2], -1) {
			if !strings.HasPrefix(quoted[1], "$JS.") {
				may[role] = append(may[role], quoted[1])
			}
		}
	}
	return may
}

// sends are the addresses of the channels to which the role of a tag sends, with a word
// for each parameter.
func sends(tb testing.TB, tag, typ string) (subjects []string) {
	tb.Helper()
	root := embedded(tb, documentName).(object)
	for _, value := range members(root, "operations") {
		o := value.(object)
		if text(o, "action") == "send" && text(deref(tb, o["tags"].([]any)[0]), "name") == tag {
			address := text(deref(tb, o["channel"]), "address")
			subjects = append(subjects, regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(strings.ReplaceAll(address, "{type}", typ), "x"))
		}
	}
	return subjects
}

// covers reports whether a subject is one of those that a pattern of NATS's allows.
func covers(pattern, subject string) bool {
	expression := strings.NewReplacer(`\*`, `[^.]+`, `>`, `.+`).Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("^" + expression + "$").MatchString(subject)
}

// Whoever may publish to a subject has an operation that does, and whoever has one may.
func TestRolesMaySendWhatTheirOperationsDo(t *testing.T) {
	t.Parallel()
	tried := 0
	for role, patterns := range permitted(t) {
		tag, typ, _ := strings.Cut(role, "-")
		if role == "subscriber" {
			tag = "service"
		}
		if typ == "" {
			typ = "wav"
		}
		subjects := sends(t, tag, typ)
		for _, pattern := range patterns {
			tried++
			if !slices.ContainsFunc(subjects, func(subject string) bool { return covers(pattern, subject) }) {
				t.Errorf("%s may publish to %s, and no operation of the %s's sends there", role, pattern, tag)
			}
		}
		for _, subject := range subjects {
			tried++
			if !slices.ContainsFunc(patterns, func(pattern string) bool { return covers(pattern, subject) }) {
				t.Errorf("an operation of the %s's sends to %s, and %s may not", tag, subject, role)
			}
		}
	}
	if tried < 30 {
		t.Errorf("only %d permissions and operations found", tried)
	}
}
