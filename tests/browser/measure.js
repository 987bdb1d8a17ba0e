// What a browser made of the report, as JSON in an element of its own: counts, places, colours.
(() => {
    const all = (selector, root = document) => [...root.querySelectorAll(selector)];
    const box = (element) => element.getBoundingClientRect();
    const name = (element) => `${element.tagName}.${element.getAttribute('class')} ${element.textContent.slice(0, 40)}`;
    // Screen rounding and the halves of lines.
    const slack = 1.5;
    const inside = (a, b) => a.left >= b.left - slack && a.right <= b.right + slack &&
                             a.top >= b.top - slack && a.bottom <= b.bottom + slack;
    const meet = (a, b) => a.left < b.right - slack && b.left < a.right - slack &&
                           a.top < b.bottom - slack && b.top < a.bottom - slack;

    const page = {left: 0, top: 0, right: document.documentElement.clientWidth, bottom: document.documentElement.scrollHeight};
    const blocks = all('h1, h2, p, dl, dd, figure, figcaption, .wide');
    const outside = blocks.filter((block) => !inside(box(block), page)).map(name);
    const drawn = all('svg, svg text, svg rect, svg circle, svg image, svg use, td, th, h1, h2, figure, dd');
    const empty = drawn.filter((element) => {
        const b = box(element);
        return !(b.width > 0 && b.height > 0);
    }).map(name);
    const cut = all('svg').flatMap((svg) => all('text, rect, circle, line, image, use', svg).filter((part) => !inside(box(part), box(svg)))).map(name);
    const overlapping = all('svg').flatMap((svg) => {
        const texts = all('text', svg).map((text) => [text, box(text)]);
        return texts.flatMap(([a, boxA], i) => texts.slice(i + 1).filter(([, boxB]) => meet(boxA, boxB))
            .map(([b]) => `${a.textContent} / ${b.textContent}`));
    });

    const rgb = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
    const luminance = (colour) => {
        const [r, g, b] = rgb(colour).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
        const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
        return (high + 0.05) / (low + 0.05);
    };
    const ground = getComputedStyle(document.body).backgroundColor;
    const colour = (element) => getComputedStyle(element)[element.closest('svg') ? 'fill' : 'color'];
    const faint = all('h1, h2, p, dt, dd, figcaption, td, th, code, .id, .dim, svg text')
        .filter((element) => contrast(colour(element), ground) < 4.5).map(name);

    const fault = all('.cell.fault')[0];
    const outlines = all('.mosaic .outline').filter((outline) => fault && inside(box(fault), box(outline)));
    const fills = new Set(all('.cell').map((cell) => (cell.classList.contains('unused') ? 'unused' : getComputedStyle(cell).fill)));
    const facts = {
        taps: all('#depth circle.tap').length,
        rings: all('#depth circle.ring').length,
        layers: all('g.routing').length,
        cells: all('.cell').length,
        unused: all('.cell.unused').length,
        cell_colours: fills.size,
        fault: all('.cell.fault').map((cell) => cell.querySelector('title').textContent),
        outlined: outlines.length,
        outline_contrast: outlines.length ? Math.round(contrast(getComputedStyle(outlines[0]).stroke, ground)) : 0,
        cell_width: Math.round(10 * Math.min(...all('.cell:not(.unused)').map((cell) => box(cell).width))) / 10,
        tokens: all('.token').length,
        moments: all('.moment').length,
        pictures: all('svg image').filter((image) => box(image).width >= 20).length,
        repeated: all('svg use').filter((use) => inside(box(use), box(use.closest('svg'))) && document.querySelector(use.getAttribute('href'))).length,
        beyond: all('.beyond').map((cell) => cell.querySelector('title').textContent),
        marked: all('.beyond').filter((cell) => all('.outline', cell.closest('svg')).some((outline) => inside(box(cell), box(outline)))).length,
        captions: all('.medium figcaption').map((caption) => caption.textContent),
        token_rows: all('.tokens tbody tr:not(.part)').length,
        outlined_rows: all('.tokens tr.other').filter((row) => getComputedStyle(row).outlineStyle === 'solid').length,
        tap_rows: all('.taps tbody tr').length,
        codes: all('.code').length,
        other_codes: all('.code.e7').map((cell) => cell.querySelector('title').textContent),
        first_code: all('.codes').map((svg) => all('.code.e7', svg).some((cell) => all('rect.outline', svg).some((outline) =>
            inside({...box(cell).toJSON(), right: box(cell).left + 1}, box(outline))))),
        waves: all('.wave').filter((wave) => box(wave).width >= 20).length,
        spectra: all('svg.sound image').length,
        leaves: all('line.first').length,
        players: all('audio').filter((audio) => audio.controls && box(audio).width >= 100 && box(audio).height >= 20).length,
        players_outside: all('audio').filter((audio) => !inside(box(audio), page)).length,
        dark: luminance(ground) < 0.2,
        scrolling: all('.wide').filter((wide) => wide.scrollWidth > wide.clientWidth + slack)
            .map((wide) => (wide.querySelector('th') || wide.querySelector('svg')).tagName + ' ' + (wide.querySelector('th') || wide).textContent.slice(0, 12)),
        sideways: document.documentElement.scrollWidth > document.documentElement.clientWidth,
        described: all('svg').every((svg) => svg.getAttribute('role') === 'img' && svg.getAttribute('aria-label')) && document.title !== '',
        requests: performance.getEntriesByType('resource').length,
        outside, empty, cut, overlapping, faint,
    };
    const element = document.createElement('script');
    element.type = 'application/json';
    element.id = 'facts';
    element.textContent = JSON.stringify(facts);
    document.body.append(element);
    // A page is loaded when its sounds are known.
    addEventListener('load', () => {
        facts.heard = all('audio').map((audio) => audio.error ? audio.error.message : Math.round(1000 * audio.duration) / 1000);
        element.textContent = JSON.stringify(facts);
    });
})();
