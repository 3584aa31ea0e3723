package simulate

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	pngs "image/png"
)

// makePNG makes a picture of noise.
func makePNG(g generator) ([]byte, error) {
	side := 48 + g.IntN(72)
	picture := image.NewNRGBA(image.Rect(0, 0, side, side))
	copy(picture.Pix, g.bytes(len(picture.Pix)))
	for alpha := 3; alpha < len(picture.Pix); alpha += 4 {
		picture.Pix[alpha] = 0xFF
	}
	var out bytes.Buffer
	encoder := pngs.Encoder{CompressionLevel: pngs.BestSpeed}
	if err := encoder.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("encode PNG: %w", err)
	}
	return out.Bytes(), nil
}

// makeJPEG makes a grey picture of noise.
func makeJPEG(g generator) ([]byte, error) {
	side := 96 + g.IntN(128)
	picture := image.NewGray(image.Rect(0, 0, side, side))
	copy(picture.Pix, g.bytes(len(picture.Pix)))
	var out bytes.Buffer
	if err := jpeg.Encode(&out, picture, &jpeg.Options{Quality: 60}); err != nil {
		return nil, fmt.Errorf("encode JPEG: %w", err)
	}
	return out.Bytes(), nil
}
