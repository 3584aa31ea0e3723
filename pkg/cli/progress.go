package cli

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress tells how far a command is: as a bar on a terminal, and by a line for
// each step otherwise.
type progress struct {
	out io.Writer
	err io.Writer
	bar *progressbar.ProgressBar // nil: nobody watches
}

func newProgress(env Env, what string, total int) *progress {
	p := &progress{out: env.Out, err: env.Err}
	if isTerminal(env.Err) {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(env.Err),
			progressbar.OptionSetDescription(what),
			progressbar.OptionSetWidth(30),
			progressbar.OptionShowCount(),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionSetPredictTime(true),
		)
	}
	return p
}

// one tells of one step. A line about what went wrong is shown in any case.
func (p *progress) one(line string, wrong bool) error {
	if p.bar == nil {
		return write(p.out, line)
	}
	if wrong {
		_ = p.bar.Clear() // that a terminal cannot be written to is no reason to stop
		if err := write(p.out, line); err != nil {
			return err
		}
	}
	_ = p.bar.Add(1)
	return nil
}

// end leaves the bar as it is.
func (p *progress) end() {
	if p.bar != nil {
		_, _ = fmt.Fprintln(p.err)
	}
}

// isTerminal reports whether w is a file that somebody looks at.
func isTerminal(w io.Writer) bool {
	file, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}
