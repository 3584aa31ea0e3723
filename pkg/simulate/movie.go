package simulate

import (
	"encoding/binary"
	"slices"
)

// makeMP4 makes an ISO base media file: ftyp, a moov with one video track that
// has no samples yet, and an mdat of noise.
func makeMP4(g generator) []byte {
	return slices.Concat(
		box("ftyp", []byte("isom"), words(0x200), []byte("isomiso2avc1mp41")),
		box("moov", movieHeader(), videoTrack()),
		box("mdat", g.bytes(4096+g.IntN(48*1024))),
	)
}

// box makes one box of the format: size, name, content.
func box(name string, content ...[]byte) []byte {
	size := 8
	for _, part := range content {
		size += len(part)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	b = append(b, name...)
	return append(b, slices.Concat(content...)...)
}

// words writes 32-bit numbers.
func words(numbers ...uint32) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

// matrix is the identity transformation, as the format writes it.
func matrix() []byte {
	return words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
}

func movieHeader() []byte {
	return box("mvhd",
		words(0, 0, 0, 1000, 0), // version, times, time scale, duration
		words(0x10000, 0x01000000, 0, 0),
		matrix(),
		words(0, 0, 0, 0, 0, 0, 2), // no previews; the next track's number
	)
}

func videoTrack() []byte {
	const width, height = 320, 180
	header := box("tkhd",
		words(3, 0, 0, 1, 0, 0), // enabled and in the movie; times, number, duration
		words(0, 0, 0, 0),
		matrix(),
		words(width<<16, height<<16),
	)
	media := box("mdia",
		box("mdhd", words(0, 0, 0, 1000, 0, 0x55C40000)), // language: undetermined
		box("hdlr", words(0, 0), []byte("vide"), words(0, 0, 0), []byte("VideoHandler\x00")),
		box("minf",
			box("vmhd", words(1, 0, 0)),
			box("dinf", box("dref", words(0, 1), box("url ", words(1)))),
			box("stbl",
				box("stsd", words(0, 0)),
				box("stts", words(0, 0)),
				box("stsc", words(0, 0)),
				box("stsz", words(0, 0, 0)),
				box("stco", words(0, 0)),
			),
		),
	)
	return box("trak", header, media)
}
