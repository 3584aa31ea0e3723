package simulate

import "fmt"

// How many of 100 tasks, and of 100 files of such a task, have a fault drawn.
const (
	troubledTasks = 35
	troubledFiles = 50
)

// maxHops is how many redirects the longest way to a file has: as many as a
// careful client follows.
const maxHops = 3

// trouble is the fault that was drawn for one file.
type trouble struct {
	fault  string   // the name of a MediaFault; "": none
	form   int      // which of its forms
	spoils int      // how many requests, from the first on; 0: every one
	first  bool     // only requests for the first of the file's paths
	hops   []string // paths on the way to the file, which lies at the last
	reason string   // why the file must be given up; "" if it must be had in the end
}

// spoilt reports whether the n-th request for a file is, at its place-th path.
func (t trouble) spoilt(n int64, place int) bool {
	return t.fault != "" && (t.spoils == 0 || n <= int64(t.spoils)) && (!t.first || place == 0)
}

// drawTroubles draws what is wrong with the files of the task with that index.
// What is switched off leaves what is drawn for the others as it is.
func (p *plan) drawTroubles(index int, assets []asset) {
	g := newGenerator(p.seed, fmt.Sprintf("media-faults/%d", index))
	troubled, sure := g.chance(troubledTasks), g.IntN(max(len(assets), 1))
	for i := range assets {
		hit := g.chance(troubledFiles) || i == sure
		drawn := drawTrouble(g, assets[i])
		if troubled && hit && !p.spared[drawn.fault] {
			assets[i].trouble = drawn
		}
	}
}

// drawTrouble draws a fault. It is none if the fault does not suit the file.
func drawTrouble(g generator, a asset) trouble {
	f := drawFault(g)
	t := trouble{fault: f.Name, form: g.IntN(len(f.forms)), first: f.fallback}
	t.reason = f.forms[t.form].reason
	t.spoils = f.least + g.IntN(f.most-f.least+1)
	hops := 1 + g.IntN(maxHops)
	for hop := range hops {
		path := fmt.Sprintf("/cdn/%d/%s?Expires=%d&Signature=%s", hop+1, g.hex(32), 1_758_000_000+g.IntN(30_000_000), g.hex(40))
		if f.hops {
			t.hops = append(t.hops, path)
		}
	}
	if f.fallback && !a.fallback {
		return trouble{}
	}
	return t
}

func drawFault(g generator) MediaFault {
	all := MediaFaults()
	n := g.IntN(100)
	for _, f := range all {
		if n < f.Share {
			return f
		}
		n -= f.Share
	}
	return all[0]
}
