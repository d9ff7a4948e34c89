package dev.fathom;

import dev.fathom.checkpoint.ModelConfig;
import dev.fathom.error.Text;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.slf4j.Logger;

/**
 * Files of a checkpoint that contradict each other in a way with which a model still runs, though
 * hardly as it was meant to. Each is told once, as a warning.
 */
final class Misfits {

  private static final String LAYERS = "model.layers.";

  private Misfits() {}

  /** Logs a warning for each. */
  static void log(Logger log, OpenedModel model, ModelText text) {
    find(model, text).forEach(log::warn);
  }

  /** Returns the warnings. */
  static List<String> find(OpenedModel model, ModelText text) {
    List<String> found = new ArrayList<>();
    int vocabSize = model.program().vocabSize();
    int tokens = text.tokenizer().size();
    if (tokens > vocabSize) {
      found.add(
          "tokenizer does not fit: tokenizer.json tokens="
              + tokens
              + (" config.json vocab_size=" + vocabSize));
    }
    int[] never = Arrays.stream(text.endIds()).filter(id -> id >= vocabSize).toArray();
    if (never.length > 0) {
      found.add(
          "end tokens that the model cannot put out: ids="
              + Arrays.toString(never)
              + (" vocab_size=" + vocabSize));
    } else if (text.endIds().length == 0) {
      found.add("no end token: reason=\"no eos_token_id in the checkpoint's files\"");
    }
    unusedLayers(model.checkpoint().config(), model.checkpoint().tensors().keySet(), found);
    return found;
  }

  /** Layers behind those of config.json, multi-token prediction included. */
  private static void unusedLayers(
      ModelConfig config, Iterable<String> tensors, List<String> found) {
    int layers = config.intAt("num_hidden_layers", 1, Integer.MAX_VALUE, Integer.MAX_VALUE);
    long described = (long) layers + config.intAt("num_nextn_predict_layers", 0, 1 << 16, 0);
    long unused = 0;
    String first = "";
    for (String tensor : tensors) {
      OptionalInt layer = layer(tensor);
      if (layer.isPresent() && layer.getAsInt() >= described) {
        first = unused++ == 0 ? tensor : first;
      }
    }
    if (unused > 0) {
      found.add(
          "layers that config.json does not describe are not used: num_hidden_layers="
              + layers
              + (" tensors=" + unused + " first=" + Text.quote(first)));
    }
  }

  private static OptionalInt layer(String tensor) {
    int end = tensor.startsWith(LAYERS) ? tensor.indexOf('.', LAYERS.length()) : -1;
    int number = 0;
    for (int i = LAYERS.length(); i < end; i++) {
      char c = tensor.charAt(i);
      if (c < '0' || c > '9' || i >= LAYERS.length() + 6) {
        return OptionalInt.empty();
      }
      number = number * 10 + (c - '0');
    }
    return end > LAYERS.length() ? OptionalInt.of(number) : OptionalInt.empty();
  }
}
