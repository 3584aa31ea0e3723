package callback_test

import (
	"strings"
	"testing"

	"fanfare/pkg/callback"
)

func TestStrictJSONIsAccepted(t *testing.T) {
	t.Parallel()
	judge(t, "cover", []verdict{
		{"plain", failed(``), ""},
		{"all four kinds of white space", " \t\r\n" + failed("\n,\r\"x\"\t: 1 ") + " \t\r\n", ""},
		{"unknown members at every level", `{"x":{},"code":500,"msg":"","data":{"y":[],"taskId":"t1","z":{"a":{"b":1}}}}`, ""},
		{"members in any order", `{"data":{"taskId":"t1"},"msg":"","code":500}`, ""},
		{"a member without a name", failed(`,"":1`), ""},
		{"names that differ in case alone", failed(`,"a":1,"A":2`), ""},
		{"one name in two objects", failed(`,"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]`), ""},
		{"escaped names", `{"c\u006fde":500,"\u006dsg":"","d\u0061ta":{"t\u0061sk_id":"t1"}}`, ""},
		{"a surrogate pair", failed(`,"x":"\ud83d\ude00"`), ""},
		{"an escaped NUL", failed(`,"x":"\u0000"`), ""},
		{"a DEL and a noncharacter", failed(",\"x\":\"\x7f\uffff\""), ""},
		{"a BOM inside a string", failed(",\"x\":\"\ufeff\""), ""},
		{"a number beyond float64", failed(`,"x":1e400,"y":-1e400,"z":1e-400`), ""},
		{"an exponent beyond int64", failed(`,"x":1e99999999999999999999`), ""},
		{"a number of 10,000 digits", failed(`,"x":` + strings.Repeat("9", 10_000)), ""},
		{"64 levels of lists", failed(`,"x":` + nested("[", "]", 63)), ""},
		{"64 levels of objects", failed(`,"x":` + nested(`{"a":`, "}", 63)), ""},
	})
}

// nested is levels objects or lists, one in the other, around a number or nothing.
func nested(open, shut string, levels int) string {
	inner := ""
	if strings.HasSuffix(open, ":") {
		inner = "1"
	}
	return strings.Repeat(open, levels) + inner + strings.Repeat(shut, levels)
}

func TestLaxJSONIsRefused(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonMalformed
	judge(t, "cover", []verdict{
		{"a BOM", "\ufeff" + failed(``), bad},
		{"UTF-16", "{\x00\"\x00c\x00", bad},
		{"a second object", failed(``) + failed(``), bad},
		{"a word after the object", failed(``) + ` ` + canary, bad},
		{"a comma after the object", failed(``) + `,`, bad},
		{"a NUL after the object", failed(``) + "\x00", bad},
		{"a brace too many", failed(``) + `}`, bad},
		{"65 levels of lists", failed(`,"x":` + nested("[", "]", 64)), bad},
		{"65 levels of objects", failed(`,"x":` + nested(`{"a":`, "}", 64)), bad},
		{"500,000 open lists", strings.Repeat("[", 500_000), bad},
		{"500,000 open lists in an object", `{"x":` + strings.Repeat("[", 500_000), bad},
		{"NaN", failed(`,"x":NaN`), bad},
		{"infinity", failed(`,"x":Infinity`), bad},
		{"minus infinity", failed(`,"x":-Infinity`), bad},
		{"a leading zero", failed(`,"x":01`), bad},
		{"a leading zero after minus", failed(`,"x":-01`), bad},
		{"a leading plus", failed(`,"x":+1`), bad},
		{"a leading point", failed(`,"x":.5`), bad},
		{"a trailing point", failed(`,"x":5.`), bad},
		{"an exponent without digits", failed(`,"x":1e`), bad},
		{"a hexadecimal number", failed(`,"x":0x10`), bad},
		{"a line comment", failed(`,"x":1 // ` + canary + "\n"), bad},
		{"a block comment", failed(`,"x":/*` + canary + `*/1`), bad},
		{"single quotes", failed(`,'x':'` + canary + `'`), bad},
		{"a name without quotes", failed(`,` + canary + `:1`), bad},
		{"a name that is a number", failed(`,1:1`), bad},
		{"a comma before the brace", failed(`,"x":1,`), bad},
		{"a comma before the bracket", failed(`,"x":[1,]`), bad},
		{"two commas", failed(`,,"x":1`), bad},
		{"no comma", failed(`"x":1`), bad},
		{"no colon", failed(`,"x" 1`), bad},
		{"no value", failed(`,"x":`), bad},
		{"True", failed(`,"x":True`), bad},
		{"undefined", failed(`,"x":undefined`), bad},
		{"a non-breaking space between tokens", failed(",\u00a0\"x\":1"), bad},
		{"a vertical tab between tokens", failed(",\v\"x\":1"), bad},
		{"a raw line feed in a string", failed(",\"x\":\"\n\""), bad},
		{"a raw tab in a name", failed(",\"\t\":1"), bad},
		{"a raw NUL in a string", failed(",\"x\":\"\x00\""), bad},
		{"an unknown escape", failed(`,"x":"\x41"`), bad},
		{"an escaped quote of the wrong kind", failed(`,"x":"\'"`), bad},
		{"a short escape", failed(`,"x":"\u12"`), bad},
	})
}

func TestInvalidUnicodeIsRefused(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonMalformed
	judge(t, "cover", []verdict{
		{"a stray byte in a string", failed(",\"x\":\"\xff\""), bad},
		{"a stray byte in a name", failed(",\"\xff\":1"), bad},
		{"a stray byte between tokens", failed("\xff"), bad},
		{"a character cut short", failed(",\"x\":\"\xe2\x82\""), bad},
		{"an overlong NUL", failed(",\"x\":\"\xc0\x80\""), bad},
		{"a surrogate in UTF-8", failed(",\"x\":\"\xed\xa0\x80\""), bad},
		{"a character beyond Unicode", failed(",\"x\":\"\xf4\x90\x80\x80\""), bad},
		{"a lone high surrogate", failed(`,"x":"\ud83d"`), bad},
		{"a lone low surrogate", failed(`,"x":"\ude00"`), bad},
		{"a surrogate pair in the wrong order", failed(`,"x":"\ude00\ud83d"`), bad},
		{"a lone surrogate in a name", failed(`,"\ud83d":1`), bad},
	})
}

func TestDuplicateNamesAreRefused(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonMalformed
	judge(t, "cover", []verdict{
		{"code", failed(`,"code":500`), bad},
		{"data", failed(`,"data":{"task_id":"t1"}`), bad},
		{"an unknown member", failed(`,"` + canary + `":1,"` + canary + `":1`), bad},
		{"the task ID", `{"code":500,"msg":"","data":{"task_id":"t1","task_id":"t1"}}`, bad},
		{"deep in an unknown member", failed(`,"x":[0,{"y":[{"a":1,"b":2,"a":3}]}]`), bad},
		{"one of them escaped", failed(`,"a":1,"\u0061":1`), bad},
		{"both escaped differently", failed(`,"\u004a":1,"\u004A":1`), bad},
		{"an escaped slash", failed(`,"/":1,"\/":1`), bad},
		{"a surrogate pair and its character", failed(`,"😀":1,"\ud83d\ude00":1`), bad},
		{"the task ID with an escape", `{"code":500,"msg":"","data":{"task_id":"t1","task\u005fid":"t1"}}`, bad},
		{"no name twice", failed(`,"":1,"":1`), bad},
	})
}

func TestOnlyAnObjectIsABody(t *testing.T) {
	t.Parallel()
	const bad = callback.ReasonMalformed
	judge(t, "cover", []verdict{
		{"nothing", "", bad},
		{"white space", " \r\n\t", bad},
		{"a list", "[" + failed(``) + "]", bad},
		{"a string", `"` + canary + `"`, bad},
		{"a number", "200", bad},
		{"null", "null", bad},
		{"true", "true", bad},
		{"a form", "code=200&msg=" + canary, bad},
		{"an object cut short", failed(``)[:20], bad},
		{"an object without its last brace", strings.TrimSuffix(failed(``), "}"), bad},
	})
}

func TestNamesAreCaseSensitive(t *testing.T) {
	t.Parallel()
	judge(t, "cover", []verdict{
		{"Code", `{"Code":500,"msg":"","data":{"task_id":"t1"}}`, callback.ReasonSchema},
		{"MSG", `{"code":500,"MSG":"","data":{"task_id":"t1"}}`, callback.ReasonSchema},
		{"Data", `{"code":500,"msg":"","Data":{"task_id":"t1"}}`, callback.ReasonTaskID},
		{"TaskID", `{"code":500,"msg":"","data":{"TaskID":"t1"}}`, callback.ReasonTaskID},
		{"taskid", `{"code":500,"msg":"","data":{"taskid":"t1"}}`, callback.ReasonTaskID},
		{"Images", succeeded(`,"Images":["https://h/i.png"]`), callback.ReasonSchema},
	})
}
