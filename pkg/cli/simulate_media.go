package cli

import "fanfare/pkg/simulate"

// MediaFaults holds the switches of what the media host does wrong: one for each
// of [simulate.MediaFaults], and one for all of them.
type MediaFaults struct {
	Faults      bool `default:"true" negatable:"" help:"Serve media badly; each way has a switch of its own."`
	Outages     bool `default:"true" negatable:"" help:"Answer 500, 502, 503 or 504 at first."`
	Throttling  bool `default:"true" negatable:"" help:"Answer 429 with Retry-After at first."`
	Refusals    bool `default:"true" negatable:"" help:"Answer 401, 403 or 404 to links that are new."`
	Resets      bool `default:"true" negatable:"" help:"Break the connection before the answer, within it, or speak no HTTP."`
	Truncations bool `default:"true" negatable:"" help:"Send less than was announced."`
	Empties     bool `default:"true" negatable:"" help:"Answer 200 without content."`
	Hangs       bool `default:"true" negatable:"" help:"Say nothing at all, for 20 s at most."`
	Loops       bool `default:"true" negatable:"" help:"Redirect in circles at first."`
	Fallbacks   bool `default:"true" negatable:"" help:"Break the URL for good of files that have a source URL too."`
	Redirects   bool `default:"true" negatable:"" help:"Redirect up to 3 times to where the file is."`
	Slowness    bool `default:"true" negatable:"" help:"Begin late, and send little by little."`
	Lengths     bool `default:"true" negatable:"" help:"Do not say how long the file is."`
	Labels      bool `default:"true" negatable:"" help:"Give a wrong Content-Type, or none."`
	Gone        bool `default:"true" negatable:"" help:"Answer 410 or 441 for good: the file is lost."`
	Fakes       bool `default:"true" negatable:"" help:"Serve something else under the right Content-Type, or a page: the file is lost."`
	Bombs       bool `default:"true" negatable:"" help:"Serve what is small, encoded with gzip, and 16 MiB when decoded: the file is lost."`
	Giants      bool `default:"true" negatable:"" help:"Announce 1 TiB: the file is lost."`
	Traps       bool `default:"true" negatable:"" help:"Redirect to a loopback address that nobody may ask: the file is lost. The report counts who asked."`
}

// off names the faults that are switched off.
func (f MediaFaults) off() []string {
	on := map[string]bool{
		"outages": f.Outages, "throttling": f.Throttling, "refusals": f.Refusals, "resets": f.Resets,
		"truncations": f.Truncations, "empties": f.Empties, "hangs": f.Hangs, "loops": f.Loops, "fallbacks": f.Fallbacks,
		"redirects": f.Redirects, "slowness": f.Slowness, "lengths": f.Lengths, "labels": f.Labels,
		"gone": f.Gone, "fakes": f.Fakes, "bombs": f.Bombs, "giants": f.Giants, "traps": f.Traps,
	}
	var off []string
	for _, fault := range simulate.MediaFaults() {
		if !f.Faults || !on[fault.Name] {
			off = append(off, fault.Name)
		}
	}
	return off
}
