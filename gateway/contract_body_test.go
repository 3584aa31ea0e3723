package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"fanfare/pkg/natsd/natstest"
)

const (
	failedWAV = "wav/" + ownID + "/error/500"    // where with is stored
	storedWAV = "wav/" + ownID + "/complete/200" // where ownWAV is
)

// with is a failure of any type, with more members in the envelope.
func with(members string) string {
	return `{"code":500,"msg":"","data":{"task_id":"` + ownID + `"}` + members + `}`
}

// nested is a value that nests so many levels deep, or the beginning of one.
func nested(open, inner, shut string, levels int) string {
	return strings.Repeat(open, levels) + inner + strings.Repeat(shut, levels)
}

func TestContractOfStrictJSON(t *testing.T) {
	t.Parallel()
	good := func(name, body string) row { return accepted(name, failedWAV, body) }
	bad := func(name, body string) row { return refused(name, "wav/malformed", body) }
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"one object, nothing after it", []row{
			good("plain", with(``)),
			good("white space of all four kinds around it", " \t\r\n"+with(``)+"\n\r\t "),
			bad("white space alone", " \r\n"),
			bad("a list around it", "["+with(``)+"]"),
			bad("a string", `"`+ownID+`"`),
			bad("a number", "200"),
			bad("null", "null"),
			bad("a second one", with(``)+with(``)),
			bad("a second one on its own line", with(``)+"\n"+with(``)),
			bad("a word after it", with(``)+" x"),
			bad("a comma after it", with(``)+","),
			bad("a brace after it", with(``)+"}"),
			bad("a NUL after it", with(``)+"\x00"),
			bad("a NUL before it", "\x00"+with(``)),
			bad("its last brace missing", strings.TrimSuffix(with(``), "}")),
			bad("a form", "task_id="+ownID+"&code=200"),
			{sent: sent{name: "nothing", path: "/callbacks/wav", header: jsonType, want: 400}, kept: "wav/malformed"},
		}},
		{"UTF-8, no BOM", []row{
			good("characters of one to four bytes", with(`,"x":"aé音😀"`)),
			good("a BOM inside a string", with(",\"x\":\"\ufeff\"")),
			good("a surrogate pair", with(`,"x":"\ud83d\ude00"`)),
			bad("a BOM", "\ufeff"+with(``)),
			bad("a BOM after it", with(``)+"\ufeff"),
			bad("UTF-16", "{\x00\"\x00}\x00"),
			bad("latin1", with(",\"x\":\"\xe9\"")),
			bad("latin1 in a name", with(",\"\xe9\":1")),
			bad("latin1 in the message", strings.Replace(with(``), `"msg":""`, "\"msg\":\"\xe9\"", 1)),
			bad("an overlong character", with(",\"x\":\"\xc0\xaf\"")),
			bad("a surrogate in UTF-8", with(",\"x\":\"\xed\xa0\x80\"")),
			bad("a character beyond Unicode", with(",\"x\":\"\xf4\x90\x80\x80\"")),
			bad("a character cut short", with(",\"x\":\"\xe9\x9f\"")),
			bad("a lone surrogate", with(`,"x":"\ud83d"`)),
			bad("a lone surrogate in a name", with(`,"\ude00":1`)),
		}},
		{"no duplicate names at any level", []row{
			good("one name in two objects", with(`,"x":{"a":1,"b":{"a":1}},"y":[{"a":1},{"a":1}]`)),
			good("names that differ in case", with(`,"Code":1,"CODE":2`)),
			bad("code", with(`,"code":500`)),
			bad("data", with(`,"data":{"task_id":"`+ownID+`"}`)),
			bad("the task ID", strings.Replace(with(``), `"data":{`, `"data":{"task_id":"`+ownID+`",`, 1)),
			bad("a name nobody needs", with(`,"x":1,"x":1`)),
			bad("deep among what nobody needs", with(`,"x":[0,{"y":[{"a":1,"b":2,"a":3}]}]`)),
			bad("one escaped", with(`,"c\u006fde":500`)),
			bad("two empty ones", with(`,"":1,"":1`)),
		}},
		{"exact-case names", []row{
			good("as documented", with(``)),
			good("escaped", strings.Replace(with(``), `"data"`, `"d\u0061ta"`, 1)),
			refused("Code", "wav/schema", strings.Replace(with(``), `"code"`, `"Code"`, 1)),
			refused("MSG", "wav/schema", strings.Replace(with(``), `"msg"`, `"MSG"`, 1)),
			refused("Data", "wav/task_id", strings.Replace(with(``), `"data"`, `"Data"`, 1)),
			refused("TaskId", "wav/task_id", strings.Replace(with(``), `"task_id"`, `"TaskId"`, 1)),
			refused("audiowavurl", "wav/schema", strings.Replace(ownWAV, "audioWavUrl", "audiowavurl", 1)),
		}},
		{"depth ≤ 64", []row{
			good("64 levels of lists", with(`,"x":`+nested("[", "", "]", 63))),
			good("64 levels of objects", with(`,"x":`+nested(`{"a":`, "1", "}", 63))),
			good("64 levels in data", strings.Replace(with(``), `"data":{`, `"data":{"x":`+nested("[", "", "]", 62)+`,`, 1)),
			bad("65 levels of lists", with(`,"x":`+nested("[", "", "]", 64))),
			bad("65 levels of objects", with(`,"x":`+nested(`{"a":`, "1", "}", 64))),
			bad("65 levels of both", with(`,"x":`+nested(`[{"a":`, "1", "}]", 32))),
			bad("65 levels in data", strings.Replace(with(``), `"data":{`, `"data":{"x":`+nested("[", "", "]", 63)+`,`, 1)),
			bad("500,000 open lists", with(`,"x":`+nested("[", "", "", 500_000))),
		}},
		{"strict RFC 8259", []row{
			good("escapes", with(`,"x":"\"\\\/\b\f\n\r\t\u0000"`)),
			good("numbers", with(`,"x":[0,-0,1.5,1e5,1E+5,1e-5,1e400,123456789012345678901234567890]`)),
			good("literals", with(`,"x":[true,false,null]`)),
			bad("a comma before the brace", with(`,"x":1,`)),
			bad("a comma before the bracket", with(`,"x":[1,]`)),
			bad("a comment", with(`/*x*/`)),
			bad("single quotes", with(`,'x':1`)),
			bad("a name without quotes", with(`,x:1`)),
			bad("NaN", with(`,"x":NaN`)),
			bad("Infinity", with(`,"x":-Infinity`)),
			bad("a leading zero", with(`,"x":01`)),
			bad("a leading plus", with(`,"x":+1`)),
			bad("no digit before the point", with(`,"x":.5`)),
			bad("no digit after the point", with(`,"x":5.`)),
			bad("hexadecimal", with(`,"x":0x10`)),
			bad("True", with(`,"x":True`)),
			bad("an unknown escape", with(`,"x":"\x41"`)),
			bad("a raw line feed in a string", with(",\"x\":\"\n\"")),
			bad("a raw tab in a string", with(",\"x\":\"\t\"")),
			bad("a non-breaking space between tokens", with(",\u00a0\"x\":1")),
		}},
		{"unknown members are ignored everywhere; members nobody needs may have any type", []row{
			good("in the envelope", with(`,"x":{"y":[1,"z"]},"status":7`)),
			good("in data", strings.Replace(with(``), `"data":{`, `"data":{"x":{"y":[]},"callbackType":{},`, 1)),
			good("results of a failure", strings.Replace(with(``), `"data":{`, `"data":{"audioWavUrl":7,"response":"x",`, 1)),
			accepted("in a result", storedWAV, strings.Replace(ownWAV, `"data":{`, `"data":{"response":"x","audio_wav_url":null,"images":{},`, 1)),
			refused("a member somebody needs", "wav/schema", strings.Replace(ownWAV, `"https://example.com/a.wav"`, `{}`, 1)),
		}},
	})
}

func TestContractOfTheEnvelope(t *testing.T) {
	t.Parallel()
	coded := func(literal string) string { return strings.Replace(ownWAV, "200", literal, 1) }
	of := func(name, value string) string { // the envelope with another value of one member, or without it
		members := map[string]string{"code": "500", "msg": `""`, "data": `{"task_id":"` + ownID + `"}`}
		members[name] = value
		var all []string
		for _, name := range []string{"code", "msg", "data"} {
			if members[name] != "" {
				all = append(all, fmt.Sprintf("%q:%s", name, members[name]))
			}
		}
		return "{" + strings.Join(append(all, `"task_id":"`+ownID+`"`), ",") + "}"
	}
	code := func(literal string) row { return refused(literal, "wav/schema", coded(literal)) }
	message := func(value string) row { return refused(value, "wav/schema", of("msg", value)) }
	data := func(value string) row { return refused(value, "wav/task_id", of("data", value)) }
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"code: a JSON number with an integral 32-bit value (200, 200.0, 2e2 are equal)", []row{
			accepted("200", storedWAV, coded("200")),
			accepted("200.0", storedWAV, coded("200.0")),
			accepted("2e2", storedWAV, coded("2e2")),
			accepted("20000E-2", storedWAV, coded("20000E-2")),
			accepted("2^31-1", "wav/"+ownID+"/error/2147483647", coded("2147483647")),
			accepted("-2^31", "wav/"+ownID+"/error/-2147483648", coded("-2147483648")),
			accepted("-0", "wav/"+ownID+"/error/0", coded("-0")),
			code("200.5"), code("2147483648"), code("-2147483649"), code("4294967496"), code("1e400"), code(`"200"`), code(`""`),
			code("null"), code("true"), code("[200]"), code("{}"), refused("missing", "wav/schema", of("code", "")),
		}},
		{"msg: a string", []row{
			accepted("empty", failedWAV, of("msg", `""`)),
			accepted("any text", failedWAV, of("msg", `"音频\u0000<b>"`)),
			message("null"), message("7"), message("false"), message("[]"), message("{}"), refused("missing", "wav/schema", of("msg", "")),
		}},
		{"data: an object", []row{
			accepted("with a task ID", failedWAV, of("data", `{"task_id":"`+ownID+`"}`)),
			data("null"), data("7"), data("true"), data(`"` + ownID + `"`), data(`[{"task_id":"` + ownID + `"}]`), data("{}"),
			refused("missing", "wav/task_id", of("data", "")),
		}},
	})
}

func TestContractOfTaskIDs(t *testing.T) {
	t.Parallel()
	in := func(members string) string {
		return `{"code":500,"msg":"","data":{` + members + `},"task_id":"outside"}`
	}
	const own = `"` + ownID + `"`
	good := func(name, members string) row { return accepted(name, failedWAV, in(members)) }
	is := func(id string) row { return accepted(id, "wav/"+id+"/error/500", in(`"task_id":"`+id+`"`)) }
	bad := func(name, members string) row { return refused(name, "wav/task_id", in(members)) }
	not := func(value string) row { return bad(value, `"task_id":`+value) }
	hold(t, start(t, natstest.Broker(t)), []rule{
		{"task ID: data.task_id or data.taskId; if both, they must be equal", []row{
			good("task_id", `"task_id":`+own),
			good("taskId", `"taskId":`+own),
			good("both", `"task_id":`+own+`,"taskId":`+own),
			accepted("both, one escaped", "wav/escaped/error/500", in(`"task_id":"escaped","taskId":"\u0065sc\u0061ped"`)),
			good("one empty", `"task_id":`+own+`,"taskId":""`),
			good("the other empty", `"task_id":"","taskId":`+own),
			good("one null", `"task_id":null,"taskId":`+own),
			good("one an empty list", `"task_id":`+own+`,"taskId":[]`),
			bad("neither", ``),
			bad("both empty", `"task_id":"","taskId":""`),
			bad("both null", `"task_id":null,"taskId":null`),
			bad("different", `"task_id":`+own+`,"taskId":"other"`),
			bad("different in case", `"task_id":"a1","taskId":"A1"`),
			bad("different by a space", `"task_id":"a2","taskId":"a2 "`),
			bad("another spelling", `"taskID":`+own),
			bad("a string and a number", `"task_id":"12","taskId":12`),
		}},
		{"1–80 characters of [A-Za-z0-9_.*:-], at least one letter or digit", []row{
			is("a"), is("0"), is("AZaz09_.*:-"), is("2fac****9f72"), is("..a"), is("65e563474bd7b6485dfb229eb92324a8"),
			is(strings.Repeat("8", 80)),
			not(`"` + strings.Repeat("8", 81) + `"`), not(`"` + strings.Repeat("*", 40) + `"`), not(`"."`), not(`".."`), not(`"_.*:-"`),
			not(`"a/b"`), not(`"a b"`), not(`"a\u0000"`), not(`"a\\b"`), not(`"a%62"`), not(`"a>"`), not(`"a=62"`), not(`"é1"`), not(`"１"`),
			not("12345"), not("false"), not("{}"), not(`["a"]`),
		}},
		{"never trimmed, never rewritten", []row{
			is("A"), is("a-"), is("-a"), is("a*"), is("a."), is(".a"), is("007"),
			not(`" a"`), not(`"a "`), not(`"a\n"`), not(`"\ufeffa"`), not(`"a\u200b"`),
		}},
	})
}
