package simulate

import (
	"bytes"
	"encoding/binary"
)

// makeWAV makes a PCM file: 16 bit, one channel, 8 kHz, noise.
func makeWAV(g generator) []byte {
	const rate, width = 8000, 2
	samples := g.bytes(width * (2048 + g.IntN(24*1024)))

	le := binary.LittleEndian
	wav := append([]byte{}, "RIFF"...)
	wav = le.AppendUint32(wav, uint32(4+8+16+8+len(samples))) //nolint:gosec // at most 64 KiB
	wav = append(wav, "WAVEfmt "...)
	wav = le.AppendUint32(wav, 16) // size of what describes the format
	wav = le.AppendUint16(wav, 1)  // PCM
	wav = le.AppendUint16(wav, 1)  // channels
	wav = le.AppendUint32(wav, rate)
	wav = le.AppendUint32(wav, rate*width)
	wav = le.AppendUint16(wav, width)
	wav = le.AppendUint16(wav, 8*width)
	wav = append(wav, "data"...)
	wav = le.AppendUint32(wav, uint32(len(samples))) //nolint:gosec // at most 64 KiB
	return append(wav, samples...)
}

// makeMP3 makes a file of silent MPEG-1 Layer III frames, 128 kbit/s, 44.1 kHz,
// one channel. Half of the files begin with an ID3v2 tag, as the provider's do
// or do not; what makes a file unique lies in the frames' ancillary data, which
// no decoder plays.
func makeMP3(g generator) []byte {
	const frameBytes, headBytes = 417, 4 + 17 // a frame; its header and side information
	var mp3 bytes.Buffer
	if g.chance(50) {
		mp3.Write(id3(g))
	}
	for range 12 + g.IntN(120) {
		frame := make([]byte, frameBytes)
		copy(frame, []byte{0xFF, 0xFB, 0x90, 0xC0})
		for i, b := range g.bytes(64) {
			frame[headBytes+i] = b & 0x7F //nolint:gosec // never a false frame header, and never past the frame
		}
		mp3.Write(frame)
	}
	return mp3.Bytes()
}

// id3 makes an ID3v2.4 tag with one text frame, the title.
func id3(g generator) []byte {
	const textBytes = 1 + 10 + 32 // the encoding, a word, digits
	tag := []byte{'I', 'D', '3', 4, 0, 0, 0, 0, 0, 10 + textBytes}
	tag = append(tag, 'T', 'I', 'T', '2', 0, 0, 0, textBytes, 0, 0, 3) // in UTF-8
	return append(tag, "simulated "+g.hex(32)...)
}
