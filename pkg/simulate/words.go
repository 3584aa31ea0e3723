package simulate

import "fanfare/pkg/callback"

// message draws the provider's text for people. It is translated and reworded
// at will, so nobody may build on it.
func (c *composer) message(call call) string {
	if call.stage == callback.Error {
		return c.failureMessage(call.code)
	}
	switch call.stage {
	case callback.Text:
		return pick(c.generator, "Text generation completed.", "Text generation completed successfully.", "processing", "歌词生成完成。")
	case callback.First:
		return pick(c.generator, "First audio generated successfully.", "First track generated successfully.", "第一首生成成功。")
	default:
		return pick(c.generator, "All generated successfully.", "success", "全部生成成功。", string(c.outline.flavour.typ)+" generated successfully.")
	}
}

func (c *composer) failureMessage(code int32) string {
	if c.chance(20) {
		return pick(c.generator, "音频生成失败", "生成失败,请稍后重试", "...")
	}
	switch code {
	case 400:
		return pick(c.generator, "Song Description flagged for moderation", "Music video generation failed", "Validation error")
	case 408:
		return "Timeout"
	case 413:
		return "Uploaded audio matches existing work of art"
	case 451:
		return "Download Failed - Unable to download source audio file"
	case 500:
		return "Internal Error - Please try again later"
	case 531:
		return "Sorry, generation failed due to an issue. Your credits have been refunded. Please try again"
	default:
		return pick(c.generator, "Audio generation failed", "Cover generation failed", "Generation failed.")
	}
}

func titles() []string {
	return []string{"Harbour Lights", "Relaxing Piano", "夜航", "Ночной поезд", "Été \"indien\"", "مساء الخير", "🌊🎹"}
}

// prompts returns lyrics as people write them: empty, of several lines, in
// several scripts, with quotes, and with what confuses careless code.
func prompts() []string {
	return []string{
		"",
		"A slow piano piece for a rainy evening.",
		"[Verse]\nThe harbour sleeps, the lamps burn low\nA boat comes home through falling snow\n\n[Chorus]\nHold the line, hold the light\nI’ll be home before the night",
		"[主歌]\n潮水退去 灯还亮着\n你的名字 写在沙上\n\n[副歌]\n等风来 等你回来",
		"[Куплет]\nПоезд уходит в синюю даль\nТихо звенит за окном печаль\r\n\r\n[Припев]\nВозвращайся",
		"[מעבר]\nהלילה ארוך\nوالبحر بعيد\n\n[サビ]\n朝が来るまで歌おう",
		"\"Quoted from the first character\", she said: \\ / \t and <b>more</b> & more",
		"[Bridge]\n🎺🎻 e\u0301\u2028after a line separator\u00a0end",
	}
}
