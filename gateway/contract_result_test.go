package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"fanfare/pkg/natsd/natstest"
)

// The results that a success of each type needs, as members of data.
const (
	track  = `"data":[{"audio_url":"https://example.com/a.mp3"}]`
	clip   = `"video_url":"https://example.com/a.mp4"`
	waves  = `"audioWavUrl":"https://example.com/a.wav"`
	images = `"images":["https://example.com/a.png"]`
)

// told is a callback with a code and members of data.
func told(code, members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"code":` + code + `,"msg":"","data":{"task_id":"` + ownID + `"` + members + `}}`
}

func TestContractOfStagesAndCodes(t *testing.T) {
	t.Parallel()
	is := func(name, stored, code, members string) row { // stored: <type>/<stage>/<code>
		return accepted(name, strings.Replace(stored, "/", "/"+ownID+"/", 1), told(code, members))
	}
	word := func(value string) string { return `"callbackType":` + value + `,` + track }
	not := func(value string) row { return refused(value, "music/schema", told("200", word(value))) }
	word64 := strings.Repeat("w", 64)
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"stage: from data.callbackType where the type has one: text, first, complete, error", []row{
			is("text", "music/text/200", "200", `"callbackType":"text"`),
			is("first", "music/first/200", "200", word(`"first"`)),
			is("complete", "music/complete/200", "200", word(`"complete"`)),
			is("error", "music/error/200", "200", `"callbackType":"error"`),
			is("escaped", "music/first/200", "200", word(`"f\u0069rst"`)),
			is("video has none", "video/complete/200", "200", `"callbackType":"text",`+clip),
			is("wav has none", "wav/complete/200", "200", `"callbackType":7,`+waves),
			is("cover has none", "cover/complete/200", "200", `"callbackType":"no word at all",`+images),
			not("7"), not("true"), not("{}"), not(`["text"]`),
		}},
		{"a plain unknown word (≤ 64 of [A-Za-z0-9_-]) is stage other, stored and left alone", []row{
			is("a word", "music/other:mastered/200", "200", `"callbackType":"mastered"`),
			is("capitals", "music/other:COMPLETE/200", "200", `"callbackType":"COMPLETE"`),
			is("the word other", "music/other:other/200", "200", `"callbackType":"other"`),
			is("punctuation alone", "music/other:_-/200", "200", `"callbackType":"_-"`),
			is("64 characters", "music/other:"+word64+"/200", "200", `"callbackType":"`+word64+`"`),
			is("whatever result it has", "music/other:mixed/200", "200", `"callbackType":"mixed","data":7`),
			not(`"w` + word64 + `"`), not(`"two words"`), not(`" text"`), not(`"text\n"`), not(`"a.b"`), not(`"a/b"`), not(`"a:b"`), not(`"*"`), not(`">"`),
			not(`"é"`), not(`"a\u0000"`),
		}},
		{"without it: a success code means complete, any other code means error", []row{
			is("missing", "music/complete/200", "200", track),
			is("null", "music/complete/200", "200", word("null")),
			is("empty", "music/complete/200", "200", word(`""`)),
			is("an empty list", "music/complete/200", "200", word("[]")),
			is("a failure", "music/error/500", "500", ""),
			refused("a success without a result", "music/schema", told("200", "")),
		}},
		{"a code that is no success code means error whatever callbackType says", []row{
			is("complete", "music/error/501", "501", word(`"complete"`)),
			is("text", "music/error/413", "413", `"callbackType":"text"`),
			is("an unknown word", "music/error/400", "400", `"callbackType":"task_failed"`),
			is("no word", "music/error/531", "531", `"callbackType":"not a word"`),
			is("a number", "music/error/451", "451", `"callbackType":7`),
			refused("a success code with no word", "music/schema", told("200", `"callbackType":"not a word"`)),
		}},
		{"success codes: 200; for video also 0. Any other code is a failure and is stored", []row{
			is("video 200", "video/complete/200", "200", clip),
			is("video 0", "video/complete/0", "0", clip),
			is("video 0.0", "video/complete/0", "0.0", clip),
			is("video 201", "video/error/201", "201", clip),
			is("wav 0", "wav/error/0", "0", waves),
			is("music 0", "music/error/0", "0", word(`"complete"`)),
			is("cover 0", "cover/error/0", "0", images),
			is("a code nobody knows", "wav/error/299", "299", waves),
			is("a negative one", "wav/error/-1", "-1", waves),
			refused("video 0 without a result", "video/schema", told("0", "")),
			refused("wav 200 without a result", "wav/schema", told("200", "")),
		}},
	})
}

func TestContractOfResults(t *testing.T) {
	t.Parallel()
	list := func(n int, item string) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	of := func(typ, stage string) (has, lacks func(name, members string) row) {
		say := func(members string) string {
			if typ == "music" {
				members = strings.TrimSuffix(`"callbackType":"`+stage+`",`+members, ",")
			}
			return told("200", members)
		}
		has = func(name, members string) row {
			return accepted(name, typ+"/"+ownID+"/"+stage+"/200", say(members))
		}
		lacks = func(name, members string) row { return refused(name, typ+"/schema", say(members)) }
		return has, lacks
	}
	song, noSong := of("music", "complete")
	first, noFirst := of("music", "first")
	video, noVideo := of("video", "complete")
	wav, noWAV := of("wav", "complete")
	cover, noCover := of("cover", "complete")
	const one, url = `{"audio_url":"https://example.com/a.mp3"}`, `"https://example.com/a"`
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"music complete needs at least one track with an audio_url; null, missing, \"\" and [] are the same nothing", []row{
			song("one", track),
			song("one among nothings", `"data":[null,{},{"audio_url":null},{"audio_url":""},{"audio_url":[]},`+one+`]`),
			song("other URLs that are nothing", `"data":[{"audio_url":`+url+`,"image_url":null,"source_audio_url":"","source_image_url":[]}]`),
			noSong("missing", ``), noSong("null", `"data":null`), noSong(`""`, `"data":""`), noSong("[]", `"data":[]`),
			noSong("nothing in the list", `"data":[null,{}]`),
			noSong("audio_url is nothing", `"data":[{"audio_url":null},{"audio_url":""},{"audio_url":[]},{"id":"a"}]`),
			noSong("another name", `"data":[{"audioUrl":`+url+`,"stream_audio_url":`+url+`,"source_audio_url":`+url+`}]`),
			noSong("no list", `"data":`+one),
			noSong("a list of strings", `"data":[`+url+`]`),
			noSong("a bad URL among good ones", `"data":[`+one+`,{"audio_url":"ftp://example.com/a"}]`),
			noSong("a bad image URL", `"data":[{"audio_url":`+url+`,"image_url":"no URL"}]`),
		}},
		{"music first likewise", []row{
			first("one", track),
			first("the other unfinished", `"data":[`+one+`,{"audio_url":""}]`),
			noFirst("missing", ``), noFirst("null", `"data":null`), noFirst(`""`, `"data":""`), noFirst("[]", `"data":[]`),
			noFirst("audio_url is nothing", `"data":[{"audio_url":""}]`),
		}},
		{"video complete needs its video_url", []row{
			video("there", clip),
			noVideo("missing", ``), noVideo("null", `"video_url":null`), noVideo(`""`, `"video_url":""`), noVideo("[]", `"video_url":[]`),
			noVideo("another name", `"videoUrl":`+url), noVideo("a list", `"video_url":[`+url+`]`), noVideo("a number", `"video_url":7`),
		}},
		{"wav complete needs audioWavUrl, audio_wav_url or response.audioWavUrl", []row{
			wav("audioWavUrl", waves),
			wav("audio_wav_url", `"audio_wav_url":`+url),
			wav("response.audioWavUrl", `"response":{"audioWavUrl":`+url+`}`),
			wav("the last of three", `"audioWavUrl":null,"audio_wav_url":"","response":{"audioWavUrl":`+url+`}`),
			wav("the second of three", `"audioWavUrl":[],"audio_wav_url":`+url+`,"response":null`),
			noWAV("missing", ``), noWAV("null", `"audioWavUrl":null`), noWAV(`""`, `"audio_wav_url":""`), noWAV("[]", `"response":{"audioWavUrl":[]}`),
			noWAV("nothing in all three", `"audioWavUrl":"","audio_wav_url":null,"response":{}`),
			noWAV("response is the URL", `"response":`+url), noWAV("a list", `"audioWavUrl":[`+url+`]`),
			noWAV("a bad one beside a good one", waves+`,"audio_wav_url":"file:///a"`),
		}},
		{"cover complete needs at least one image", []row{
			cover("one", images),
			cover("one among nothings", `"images":[null,"",[],`+url+`]`),
			noCover("missing", ``), noCover("null", `"images":null`), noCover(`""`, `"images":""`), noCover("[]", `"images":[]`),
			noCover("nothing in the list", `"images":[null,"",[]]`), noCover("no list", `"images":`+url), noCover("a number", `"images":[`+url+`,7]`),
			noCover("an object", `"images":[{"url":`+url+`}]`), noCover("a bad URL among good ones", `"images":[`+url+`,"/a.png"]`),
		}},
		{"at most 64 media items", []row{
			song("64 tracks", `"data":`+list(64, one)), noSong("65 tracks", `"data":`+list(65, one)),
			first("64 tracks, first", `"data":`+list(64, one)), noFirst("65 tracks, first", `"data":`+list(65, one)),
			cover("64 images", `"images":`+list(64, url)), noCover("65 images", `"images":`+list(65, url)),
			noCover("65 items, one of them something", `"images":`+strings.Replace(list(65, "null"), "null", url, 1)),
			accepted("65 tracks of a failure", "music/"+ownID+"/error/500", told("500", `"data":`+list(65, one))),
		}},
	})
}

func TestContractOfURLs(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return "https://h/" + strings.Repeat("a", n-len("https://h/")) }
	named := func(name, u string) row {
		return accepted(name, "video/"+ownID+"/complete/200", told("200", `"video_url":"`+u+`"`))
	}
	refuse := func(name, u string) row { return refused(name, "video/schema", told("200", `"video_url":"`+u+`"`)) }
	good := func(u string) row { return named(u, u) }
	bad := func(u string) row { return refuse(u, u) }
	everywhere := []row{good("https://example.com/a.mp4")}
	for typ, members := range map[string][]string{
		"music": {`"data":[{"audio_url":"%s"}]`, `"data":[{"audio_url":"https://h/a","image_url":"%s"}]`, `"data":[{"audio_url":"https://h/a","source_audio_url":"%s"}]`},
		"wav":   {`"audioWavUrl":"%s"`, `"audio_wav_url":"%s"`, `"response":{"audioWavUrl":"%s"}`},
		"cover": {`"images":["%s"]`, `"images":["https://h/a","%s"]`},
	} {
		for _, place := range members {
			everywhere = append(everywhere,
				accepted("good in "+typ+" "+place, typ+"/"+ownID+"/complete/200", told("200", fmt.Sprintf(place, "https://h/b"))),
				refused("bad in "+typ+" "+place, typ+"/schema", told("200", fmt.Sprintf(place, "https://user@h/b"))))
		}
	}
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"URLs: absolute http(s)", []row{
			good("http://example.com/a.mp4"), good("HTTPS://example.com/a.mp4"), good("https://example.com"), good("https://example.cn/****.mp4"),
			good("https://example.com/a.mp4?Signature=a%2Bb&x=%20#t=1"), good("https://example.com:8443/a.mp4#a"), good("https://example.com/é/音.mp4"),
			bad("/a.mp4"), bad("example.com/a.mp4"), bad("//example.com/a.mp4"), bad("ftp://example.com/a"), bad("file:///etc/passwd"),
			bad("data:video/mp4;base64,AAAA"), bad("javascript:alert(1)"), bad("https:example.com/a"), bad("httpss://example.com/a"), bad("a"),
			bad("https://example.com/%zz"),
		}},
		{"URLs: a host", []row{
			good("https://192.0.2.1/a"), good("http://[2001:db8::1]:8080/a"), good("https://bücher.example/a"), good("http://h:1/a"), good("http://h:65535/a"),
			bad("https:///a"), bad("https://"), bad("https://:443/a"), bad("https://?a"), bad("https:/example.com/a"), bad("http://[2001:db8::1/a"),
			bad("http://h:0/a"), bad("http://h:65536/a"), bad("http://h:http/a"),
		}},
		{"URLs: no user info", []row{
			good("https://example.com/user@a"), good("https://example.com/?user:secret@a"),
			bad("https://user@example.com/a"), bad("https://user:secret@example.com/a"), bad("https://@example.com/a"), bad("https://:@example.com/a"),
		}},
		{"URLs: no white space, backslash or control characters", []row{
			good("https://example.com/a%20b%5C%00.mp4"),
			bad(" https://example.com/a"), bad("https://example.com/a "), bad("https://example.com/a b"), bad("https://exa mple.com/a"),
			bad(`https://example.com/\t`), bad(`https://example.com/a\n`), bad(`https://example.com/\u0000`), bad(`https://example.com/\u007f`),
			bad(`https://example.com/\u0085`), bad(`https://example.com/\u009f`), bad(`https://example.com/\u00a0`), bad(`https://example.com/\u2003`),
			bad(`https://example.com/\u2028`), bad(`https://example.com/\u3000`), bad(`https:\\\\example.com/a`), bad(`https://example.com\\@h/a`),
		}},
		{"URLs: ≤ 4 KiB", []row{
			named("4096 bytes", long(4096)), refuse("4097 bytes", long(4097)), refuse("4096 characters", long(4095)+"é"),
		}},
		{"URLs: wherever one is needed", everywhere},
	})
}
