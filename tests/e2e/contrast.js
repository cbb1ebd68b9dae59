// The texts on the page whose contrast with what is behind them is under 4.5 to 1 (3 to 1 where they are large), each with its ratio.
() => {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const read = (colour) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((n) => top[n] * top[3] + below[n] * (1 - top[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  // what is painted behind: of an SVG text the shape before it in its group, else the backgrounds of the elements around it
  const behind = (element) => {
    const layers = [];
    const group = element.closest("svg g, svg a");
    if (element.closest("svg") && group) {
      const shape = group.querySelector("path.body, rect");
      if (shape) layers.push(read(getComputedStyle(shape).fill));
    }
    for (let each = element; each; each = each.parentElement) layers.push(read(getComputedStyle(each).backgroundColor));
    layers.push([255, 255, 255, 1]);
    let colour = [255, 255, 255];
    for (const layer of layers.reverse()) colour = over(layer, colour);
    return colour;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, title, .unseen, .skip") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const front = over(read(element.closest("svg") ? style.fill : style.color), back);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const value = ratio(front, back);
    if (value < (large ? 3 : 4.5)) found.push(`${node.data.trim().slice(0, 40)} (${element.tagName}.${element.getAttribute("class")}): ${value.toFixed(2)}`);
  }
  return [...new Set(found)];
}
