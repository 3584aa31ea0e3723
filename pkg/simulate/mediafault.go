package simulate

import "slices"

// MediaFault is one way in which the media host misbehaves.
type MediaFault struct {
	Name    string // of its switch, after "media-"
	Does    string // what users read of it
	Share   int    // of 100 files that a fault is drawn for
	Lasting bool   // the file must be given up, and its callback become a dead letter; otherwise it must be had in the end

	least, most int    // how many requests for the file it spoils; 0: every one
	hops        bool   // the file lies elsewhere, up to 3 redirects away
	fallback    bool   // only the first URL is spoilt, and only of files that have a second one
	forms       []form // one is drawn for a file
}

// form is one of the forms that a fault takes.
type form struct {
	write  func(*exchange)
	reason string // why the file must be given up, as its result says; "" if it must be had
}

// MediaFaults returns every fault of the media host; their shares make 100. What
// consumers try again and never get takes them six hours to give up: there is no
// fault of that kind.
func MediaFaults() []MediaFault {
	return slices.Concat(passingFaults(), harmlessFaults(), lastingFaults())
}

// LastingMediaFaults returns the names of those that cost a file.
func LastingMediaFaults() []string {
	var names []string
	for _, f := range lastingFaults() {
		names = append(names, f.Name)
	}
	return names
}

// passingFaults are those after which the same URL, or another one, has the file.
func passingFaults() []MediaFault {
	return []MediaFault{
		{
			Name: "outages", Share: 8, Does: "Answer 500, 502, 503 or 504 at first.", least: 1, most: 2,
			forms: passing((*exchange).outage),
		},
		{
			Name: "throttling", Share: 7, Does: "Answer 429 with Retry-After at first.", least: 1, most: 2,
			forms: passing((*exchange).throttle),
		},
		{
			Name: "refusals", Share: 7, Does: "Answer 401, 403 or 404 to links that are new.", least: 1, most: 2,
			forms: passing((*exchange).refuse),
		},
		{
			Name: "resets", Share: 8, Does: "Break the connection before the answer, within it, or speak no HTTP.", least: 1, most: 2,
			forms: passing((*exchange).resetBefore, (*exchange).resetWithin, (*exchange).babble),
		},
		{
			Name: "truncations", Share: 7, Does: "Send less than was announced.", least: 1, most: 2,
			forms: passing((*exchange).truncate, (*exchange).truncateChunks),
		},
		{
			Name: "empties", Share: 6, Does: "Answer 200 without content.", least: 1, most: 2,
			forms: passing((*exchange).empty, (*exchange).emptyChunks),
		},
		{
			Name: "hangs", Share: 2, Does: "Say nothing at all, for 20 s at most.", least: 1, most: 1,
			forms: passing((*exchange).hang),
		},
		{
			Name: "loops", Share: 4, Does: "Redirect in circles at first.", least: maxHops + 1, most: maxHops + 1, // one more than are followed
			forms: passing((*exchange).loop),
		},
		{
			Name: "fallbacks", Share: 8, Does: "Break the URL for good of files that have a source URL too.", fallback: true,
			forms: passing((*exchange).refuse, (*exchange).gone, (*exchange).page, (*exchange).empty, (*exchange).outage),
		},
	}
}

// harmlessFaults are those of which nothing may come.
func harmlessFaults() []MediaFault {
	return []MediaFault{
		{
			Name: "redirects", Share: 7, Does: "Redirect up to 3 times to where the file is.", hops: true,
			forms: passing((*exchange).redirect),
		},
		{
			Name: "slowness", Share: 5, Does: "Begin late, and send little by little.",
			forms: passing((*exchange).drip),
		},
		{
			Name: "lengths", Share: 5, Does: "Do not say how long the file is.",
			forms: passing((*exchange).chunks, (*exchange).untilClose),
		},
		{
			Name: "labels", Share: 4, Does: "Give a wrong Content-Type, or none.",
			forms: passing((*exchange).mislabel),
		},
	}
}

// lastingFaults are those that cost a file. The reasons are the words of results
// (schemas/result.json, media[].error).
func lastingFaults() []MediaFault {
	const gone, expired, wrongType, tooLarge, refused = "gone", "expired", "wrong_type", "too_large", "refused_address"
	return []MediaFault{
		{
			Name: "gone", Share: 6, Does: "Answer 410 or 441 for good: the file is lost.", Lasting: true,
			forms: []form{{(*exchange).gone, gone}, {(*exchange).expired, expired}},
		},
		{
			Name: "fakes", Share: 6, Does: "Serve something else under the right Content-Type, or a page: the file is lost.", Lasting: true,
			forms: lasting(wrongType, (*exchange).page, (*exchange).problem, (*exchange).otherKind, (*exchange).zipped),
		},
		{
			Name: "bombs", Share: 3, Does: "Serve what is small, encoded with gzip, and 16 MiB when decoded: the file is lost.", Lasting: true,
			forms: lasting(wrongType, (*exchange).bomb),
		},
		{
			Name: "giants", Share: 3, Does: "Announce 1 TiB: the file is lost.", Lasting: true,
			forms: lasting(tooLarge, (*exchange).giant),
		},
		{
			Name: "traps", Share: 4, Does: "Redirect to a loopback address that nobody may ask: the file is lost. The report counts who asked.", Lasting: true,
			forms: lasting(refused, (*exchange).trap),
		},
	}
}

func passing(writers ...func(*exchange)) []form { return lasting("", writers...) }

func lasting(reason string, writers ...func(*exchange)) []form {
	forms := make([]form, 0, len(writers))
	for _, write := range writers {
		forms = append(forms, form{write, reason})
	}
	return forms
}
