import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.SafeTensorSupport;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Writes Jlama's own Q4 form of a checkpoint, all but the norms.
 *
 * <p>Arguments: model folder, target folder.
 */
public final class JlamaQuantize {

  private JlamaQuantize() {}

  public static void main(String[] args) throws Exception {
    Path source = Path.of(args[0]);
    // Jlama copies the model card and fails where there is none.
    if (!Files.exists(source.resolve("README.md"))) {
      Files.createFile(source.resolve("README.md"));
    }
    String[] asTheyAre = {"norm"};
    SafeTensorSupport.quantizeModel(
        source, DType.Q4, asTheyAre, null, Optional.of(Path.of(args[1])));
    System.exit(0);
  }
}
