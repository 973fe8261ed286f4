/* The viewer: a section's layers on a canvas, made only when it is opened. */
(function () {
  "use strict";
  var dialog = document.getElementById("viewer"), canvas = document.getElementById("viewer-canvas");
  if (!dialog || !dialog.showModal || !canvas.getContext) return;
  var byId = function (id) { return document.getElementById("viewer-" + id); };
  var palettes = JSON.parse(document.getElementById("viewer-colours").textContent), tints = palettes.compartments;
  var shown = {cd45: true, k14: true, k8: true, compartments: false, junction: true, cells: false};
  var openers = Array.prototype.slice.call(document.querySelectorAll("[data-open]"));
  var now = null, picture = document.createElement("canvas"), tint = document.createElement("canvas");
  var view = {scale: 1, x: 0, y: 0}, waiting = false, place = -1, opener = null, ticket = 0;

  function bytes(text, Type) {
    var raw = atob(text), out = new Uint8Array(raw.length);
    for (var i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return new Type(out.buffer);
  }
  function load(uri) {
    return new Promise(function (done, failed) {
      var img = new Image();
      img.onload = function () { done(img); };
      img.onerror = function () { failed(new Error("a picture of this section cannot be read")); };
      img.src = uri;
    });
  }
  function pixels(img) {
    var c = document.createElement("canvas");
    c.width = img.naturalWidth; c.height = img.naturalHeight;
    var g = c.getContext("2d", {willReadFrequently: true});
    g.drawImage(img, 0, 0);
    return g.getImageData(0, 0, c.width, c.height).data;
  }

  /* ---- making ---- */
  function compose() {
    if (!now || !now.stainPixels) return;
    var w = now.layer_size[0], h = now.layer_size[1], n = w * h;
    picture.width = w; picture.height = h;
    var g = picture.getContext("2d"), image = g.createImageData(w, h), out = image.data;
    var colours = palettes[byId("palette").value], bright = Number(byId("bright").value);
    for (var i = 0; i < n; i++) out[4 * i + 3] = 255;
    now.stains.forEach(function (stain, k) {
      if (!shown[stain.role]) return;
      var colour = colours[stain.role] || [255, 255, 255], start = 4 * k * n, data = now.stainPixels;
      var r = colour[0] / 255 * bright, gr = colour[1] / 255 * bright, b = colour[2] / 255 * bright;
      /* Uint8ClampedArray rounds and ends at 255 */
      for (var i = 0, o = 0; i < n; i++, o += 4) {
        var v = data[start + o];
        if (v) { out[o] += v * r; out[o + 1] += v * gr; out[o + 2] += v * b; }
      }
    });
    g.putImageData(image, 0, 0);
  }
  function colourLabels() {
    var w = now.width, h = now.height, data = now.labelPixels;
    tint.width = w; tint.height = h;
    var g = tint.getContext("2d"), image = g.createImageData(w, h), out = image.data;
    for (var y = 0, i = 0; y < h; y++) for (var x = 0; x < w; x++, i++) {
      var code = data[4 * i], colour = tints[code];
      if (!colour) continue;
      var edge = (x && data[4 * (i - 1)] !== code) || (y && data[4 * (i - w)] !== code);
      out[4 * i] = colour[0]; out[4 * i + 1] = colour[1]; out[4 * i + 2] = colour[2];
      out[4 * i + 3] = edge ? 255 : 72;
    }
    g.putImageData(image, 0, 0);
  }

  /* ---- drawing ---- */
  function later() { if (!waiting) { waiting = true; requestAnimationFrame(draw); } }
  function size() {
    var box = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    var w = Math.max(1, Math.round(box.width * ratio)), h = Math.max(1, Math.round(box.height * ratio));
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    return ratio;
  }
  function fit() {
    var ratio = size();
    if (!now) return;
    view.scale = Math.min(canvas.width / now.width, (canvas.height - 44 * ratio) / now.height);
    view.x = (canvas.width - now.width * view.scale) / 2;
    view.y = (canvas.height - 44 * ratio - now.height * view.scale) / 2;
    later();
  }
  function draw() {
    waiting = false;
    var ratio = size(), g = canvas.getContext("2d");
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.fillStyle = "#000"; g.fillRect(0, 0, canvas.width, canvas.height);
    if (!now || !now.ready) return;
    g.imageSmoothingEnabled = view.scale < 3 * ratio;
    g.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
    g.drawImage(picture, 0, 0, now.width, now.height);
    if (now.labelPixels && shown.compartments) { g.imageSmoothingEnabled = false; g.drawImage(tint, 0, 0, now.width, now.height); }
    g.setTransform(1, 0, 0, 1, 0, 0);
    if (now.junction && shown.junction) {
      var path = new Path2D();
      now.junction.forEach(function (line) {
        for (var i = 0; i < line.length; i += 2)
          path[i ? "lineTo" : "moveTo"]((line[i] + 0.5) * view.scale + view.x, (line[i + 1] + 0.5) * view.scale + view.y);
      });
      g.lineJoin = "round";
      g.strokeStyle = "#000"; g.lineWidth = 4 * ratio; g.stroke(path);
      g.strokeStyle = rgb(palettes.junction); g.lineWidth = 2 * ratio; g.stroke(path);
    }
    if (now.cellPlaces && shown.cells) {
      var r = Math.max(1.4 * ratio, 3 / (now.um_per_px || 1) * view.scale), xy = now.cellPlaces, q = view.scale / now.cells.per_px;
      var dots = new Path2D();
      for (var i = 0; i < xy.length; i += 2) {
        var x = xy[i] * q + view.x, y = xy[i + 1] * q + view.y;
        if (x < -r || y < -r || x > canvas.width + r || y > canvas.height + r) continue;
        dots.moveTo(x + r, y); dots.arc(x, y, r, 0, 7);
      }
      if (r > 4 * ratio) { g.lineWidth = 1.5 * ratio; g.strokeStyle = "#fff"; g.stroke(dots); }
      else { g.fillStyle = "#fff"; g.fill(dots); }
    }
    if (now.um_per_px) bar(g, ratio);
  }
  function bar(g, ratio) {
    var um = now.um_per_px / view.scale, most = canvas.width / 4 * um, power = Math.pow(10, Math.floor(Math.log10(most)));
    var length = [5, 2, 1].map(function (s) { return s * power; }).filter(function (l) { return l <= most; })[0] || power;
    var words = length >= 1000 ? length / 1000 + " mm" : length + " µm", px = length / um, y = canvas.height - 20 * ratio;
    g.font = 14 * ratio + "px sans-serif"; g.textBaseline = "middle";
    g.fillStyle = "rgba(0,0,0,.72)"; g.fillRect(8 * ratio, y - 14 * ratio, px + g.measureText(words).width + 30 * ratio, 28 * ratio);
    g.fillStyle = "#fff"; g.fillRect(16 * ratio, y - 2 * ratio, px, 4 * ratio); g.fillText(words, 24 * ratio + px, y);
  }

  /* ---- moving ---- */
  function zoom(factor, x, y) {
    if (!now) return;
    if (x === undefined) { x = canvas.width / 2; y = canvas.height / 2; }
    var least = 0.4 * Math.min(canvas.width / now.width, canvas.height / now.height);
    var next = Math.min(60, Math.max(least, view.scale * factor)), f = next / view.scale;
    view.x = x - (x - view.x) * f; view.y = y - (y - view.y) * f; view.scale = next;
    later();
  }
  function move(dx, dy) { view.x += dx; view.y += dy; later(); }
  function at(event) {
    var box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  }
  var fingers = {};
  canvas.addEventListener("wheel", function (e) { e.preventDefault(); var p = at(e); zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0016)), p[0], p[1]); }, {passive: false});
  canvas.addEventListener("pointerdown", function (e) { if (e.isTrusted) canvas.setPointerCapture(e.pointerId); fingers[e.pointerId] = at(e); canvas.focus({preventScroll: true}); });
  canvas.addEventListener("pointermove", function (e) {
    var p = at(e), old = fingers[e.pointerId];
    if (!old) { under(p); return; }
    var other = Object.keys(fingers).filter(function (k) { return k !== String(e.pointerId); }).map(function (k) { return fingers[k]; })[0];
    if (other) {
      var before = Math.hypot(old[0] - other[0], old[1] - other[1]), after = Math.hypot(p[0] - other[0], p[1] - other[1]);
      move((p[0] - old[0]) / 2, (p[1] - old[1]) / 2);
      if (before > 1) zoom(after / before, (p[0] + other[0]) / 2, (p[1] + other[1]) / 2);
    } else move(p[0] - old[0], p[1] - old[1]);
    fingers[e.pointerId] = p;
  });
  ["pointerup", "pointercancel", "lostpointercapture"].forEach(function (name) {
    canvas.addEventListener(name, function (e) { delete fingers[e.pointerId]; });
  });
  canvas.addEventListener("dblclick", function (e) { var p = at(e); zoom(2, p[0], p[1]); });
  canvas.addEventListener("keydown", function (e) {
    var step = 60 * (window.devicePixelRatio || 1), keys = {
      "+": function () { zoom(1.3); }, "=": function () { zoom(1.3); }, "-": function () { zoom(1 / 1.3); }, "0": fit,
      ArrowLeft: function () { move(step, 0); }, ArrowRight: function () { move(-step, 0); },
      ArrowUp: function () { move(0, step); }, ArrowDown: function () { move(0, -step); }
    };
    if (keys[e.key] && !e.ctrlKey && !e.metaKey) { e.preventDefault(); keys[e.key](); }
  });
  function under(p) {
    if (!now || !now.ready || !now.um_per_px) return;
    var x = (p[0] - view.x) / view.scale - 0.5, y = (p[1] - view.y) / view.scale - 0.5;
    var words = "x " + Math.round(now.origin_um[1] + x * now.um_per_px) + " µm, y " + Math.round(now.origin_um[0] + y * now.um_per_px) + " µm";
    var i = Math.round(x), j = Math.round(y);
    if (now.labelPixels && i >= 0 && j >= 0 && i < now.width && j < now.height) {
      var code = now.labelPixels[4 * (j * now.width + i)];
      now.compartments.forEach(function (c) { if (c.code === code) words += " · " + c.name; });
    }
    if (now.cellPlaces && shown.cells) {
      var best = 36, hit = -1, q = now.cells.per_px;
      for (var k = 0; k < now.cellPlaces.length; k += 2) {
        var dx = (now.cellPlaces[k] / q - 0.5 - x) * now.um_per_px, dy = (now.cellPlaces[k + 1] / q - 0.5 - y) * now.um_per_px, d = dx * dx + dy * dy;
        if (d < best) { best = d; hit = k / 2; }
      }
      if (hit >= 0) {
        var far = now.cellDistances[hit];
        words += " · CD45⁺ cell" + (far === -32768 ? "" : ", " + Math.abs(far) + " µm from the junction, on the " + (far < 0 ? "cortical" : "medullary") + " side");
      }
    }
    byId("under").textContent = words;
  }

  /* ---- switches ---- */
  function box(parent, key, words, colour, off) {
    var row = document.createElement("label"), input = document.createElement("input"), dot = document.createElement("span");
    row.className = "row"; input.type = "checkbox"; input.checked = shown[key] && !off; input.disabled = !!off; input.dataset.layer = key;
    dot.className = "swatch"; dot.style.background = colour; dot.setAttribute("aria-hidden", "true");
    row.append(input, dot, document.createTextNode(words));
    input.addEventListener("change", function () {
      shown[key] = input.checked;
      if (byId("palette").value === "grey" && palettes.grey[key] && input.checked) {
        byId("stains").querySelectorAll("input").forEach(function (o) { if (o !== input) { o.checked = false; shown[o.dataset.layer] = false; } });
      }
      if (palettes.field[key]) compose();
      later();
    });
    parent.appendChild(row);
  }
  function clear(parent) { while (parent.lastChild && parent.lastChild.nodeName !== "LEGEND") parent.removeChild(parent.lastChild); }
  function rgb(c) { return "rgb(" + c.join(",") + ")"; }
  function switches() {
    clear(byId("stains")); clear(byId("found")); byId("legend").textContent = "";
    var colours = palettes[byId("palette").value], layered = !!now.stains;
    (now.stains || []).forEach(function (s) { box(byId("stains"), s.role, s.label, rgb(colours[s.role] || [255, 255, 255])); });
    if (!layered) byId("stains").append("no separate layers in this run");
    box(byId("found"), "compartments", "compartments", "linear-gradient(90deg," + rgb(tints[1]) + " 50%," + rgb(tints[2]) + " 50%)", !layered);
    box(byId("found"), "junction", "corticomedullary junction", rgb(palettes.junction), !layered || !now.junction.length);
    var cells = layered && now.cells;
    box(byId("found"), "cells", "CD45⁺ cells" + (cells ? " (" + now.cells.total.toLocaleString("en") + ")" : ""), "#fff", !cells);
    (now.compartments || []).forEach(function (c) {
      var row = document.createElement("div"), dot = document.createElement("span");
      dot.className = "swatch"; dot.style.background = rgb(tints[c.code] || [0, 0, 0]); row.append(dot, c.name); byId("legend").appendChild(row);
    });
    byId("palette").disabled = byId("bright").disabled = !layered;
    var notes = [];
    if (!layered) notes.push("This section was measured before layers were kept: its picture is shown. Measuring it again brings the switches.");
    if (cells && now.cells.step > 1) notes.push("For the eye, one in " + now.cells.step + " cells is drawn; all were counted.");
    byId("note").textContent = notes.join(" ");
  }
  byId("palette").addEventListener("change", function () {
    if (this.value === "grey" && now && now.stains) { var first = true; now.stains.forEach(function (s) { shown[s.role] = shown[s.role] && first; if (shown[s.role]) first = false; }); }
    switches(); compose(); later();
  });
  byId("bright").addEventListener("input", function () { compose(); later(); });
  byId("in").addEventListener("click", function () { zoom(1.4); });
  byId("out").addEventListener("click", function () { zoom(1 / 1.4); });
  byId("fit").addEventListener("click", fit);
  byId("close").addEventListener("click", function () { dialog.close(); });
  byId("before").addEventListener("click", function () { show(place - 1); });
  byId("next").addEventListener("click", function () { show(place + 1); });
  byId("save").addEventListener("click", function () {
    canvas.toBlob(function (blob) { thymusimgSave(blob, (now && now.id || "section") + ".png"); });
  });
  dialog.addEventListener("close", function () {
    canvas.width = canvas.height = picture.width = picture.height = tint.width = tint.height = 1;
    now = null; ticket++;
    if (opener) opener.focus();
  });
  window.addEventListener("resize", function () { if (dialog.open) fit(); });

  /* ---- opening ---- */
  function show(index) {
    if (index < 0 || index >= openers.length) return;
    place = index;
    var card = openers[index].closest("article"), mine = ++ticket;
    var title = card.querySelector("h3").textContent, where = card.querySelector(".whose");
    byId("title").textContent = title;
    byId("place").textContent = (where ? where.textContent.trim().replace(/\s+/g, " ") : "") + " (" + (index + 1) + " of " + openers.length + ")";
    canvas.setAttribute("aria-label", "Section " + title + ", drawn from its layers");
    byId("before").disabled = index === 0; byId("next").disabled = index === openers.length - 1;
    byId("under").textContent = "Point at the picture for µm and compartment.";
    if (!dialog.open) dialog.showModal();
    dialog.removeAttribute("data-ready");
    var data = document.getElementById("layers-" + openers[index].dataset.open), found = data ? JSON.parse(data.textContent) : null;
    var still = card.querySelector('img[data-name="compartments"]') || card.querySelector("img");
    var work = found
      ? Promise.all([load(found.stains_uri), load(found.labels_uri)]).then(function (two) {
        found.stainPixels = pixels(two[0]); found.labelPixels = pixels(two[1]);
        if (found.cells) { found.cellPlaces = bytes(found.cells.xy, Uint16Array); found.cellDistances = bytes(found.cells.distance, Int16Array); }
        return found;
      })
      : still ? load(still.src).then(function (img) { return {id: title, width: img.naturalWidth, height: img.naturalHeight, still: img}; })
      : Promise.reject(new Error("no picture of this section was recorded"));
    work.then(function (ready) {
      if (mine !== ticket) return;
      now = ready; now.ready = true;
      switches();
      if (now.still) { picture.width = now.width; picture.height = now.height; picture.getContext("2d").drawImage(now.still, 0, 0); }
      else { compose(); colourLabels(); }
      fit();
      dialog.setAttribute("data-ready", String(index));
    }).catch(function (error) { if (mine === ticket) { now = null; later(); byId("note").textContent = String(error.message || error); } });
    canvas.focus({preventScroll: true});
  }
  openers.forEach(function (button, index) {
    button.hidden = false;
    button.addEventListener("click", function () { opener = button; show(index); });
  });
  document.querySelectorAll(".pics img").forEach(function (img) {
    var button = img.closest("article").querySelector("[data-open]");
    if (button && img.dataset.name !== "cells") img.addEventListener("click", function () { button.click(); });
  });
  window.thymusimgViewer = {state: function () { return {scale: view.scale, x: view.x, y: view.y, ready: !!(now && now.ready)}; }};
})();
