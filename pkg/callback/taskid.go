package callback

import "strings"

// maxTaskIDBytes bounds a task ID. The provider's are 32 hexadecimal digits;
// its documents show up to 40 characters, asterisks among them.
const maxTaskIDBytes = 80

// TaskID is the provider's own identifier of a task: 1 to 80 of
// [A-Za-z0-9_.*:-] with at least one letter or digit. It is not safe as a
// subject token or a file name; see [Escape].
type TaskID string

// ParseTaskID returns s as a TaskID, or an [*Invalid] error.
func ParseTaskID(s string) (TaskID, error) {
	if len(s) > maxTaskIDBytes {
		return "", &Invalid{ReasonTaskID, "the task ID is longer than 80 characters"}
	}
	named := false
	for i := range len(s) {
		switch c := s[i]; {
		case alphanumeric(c):
			named = true
		case strings.IndexByte("_.*:-", c) < 0:
			return "", &Invalid{ReasonTaskID, "the task ID has a character outside A-Z a-z 0-9 _ . * : -"}
		}
	}
	if !named {
		return "", &Invalid{ReasonTaskID, "the task ID has no letter or digit"}
	}
	return TaskID(s), nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// Escape returns s with every byte outside [A-Za-z0-9_-] as =XX, two upper-case
// hexadecimal digits: one-to-one, and safe in a subject, a bucket key and a
// file name.
func Escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if alphanumeric(c) || c == '_' || c == '-' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
