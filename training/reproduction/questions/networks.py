"""Module II: convolutional neural networks."""

from training.reproduction.course import Question, Text

QUESTIONS = (
    Question(
        Text("Exercise 1", "Exercício 1"),
        Text(
            "How do a dense and a convolutional layer compare?",
            "Como se comparam uma camada densa e uma camada convolucional?",
        ),
        Text(
            "A convolution combines the values of a small receptive field and uses the same weights at every place; a "
            "dense layer has a weight for each input value. For 1,024 values, 16 filters of width 8 have 144 "
            "parameters, a dense layer of 16 units has 16,400.",
            "Uma convolução combina os valores de um pequeno campo recetivo e usa os mesmos pesos em todas as "
            "posições; uma camada densa tem um peso para cada valor de entrada. Para 1024 valores, 16 filtros de "
            "largura 8 têm 144 parâmetros, e uma camada densa de 16 unidades tem 16 400.",
        ),
        option="d",
        shown_by=("conv1d_a",),
    ),
    Question(
        Text("Exercise 2", "Exercício 2"),
        Text(
            "What is the output size of a 5×5 convolution with stride 1 over a 10×10 matrix without padding?",
            "Que tamanho tem a saída de uma convolução 5×5 com passo 1 sobre uma matriz 10×10 sem preenchimento?",
        ),
        Text(
            "6×6: a 5×5 region fits into 10 − 5 + 1 = 6 positions in each direction, so two rows and two columns are "
            "lost on each side.",
            "6×6: uma região 5×5 cabe em 10 − 5 + 1 = 6 posições em cada direção, pelo que se perdem duas linhas e "
            "duas colunas de cada lado.",
        ),
        option="b",
    ),
    Question(
        Text("Exercise 3", "Exercício 3"),
        Text(
            "Why are the outputs of a convolutional layer called activation maps or feature maps?",
            "Porque se chamam mapas de ativação ou de características as saídas de uma camada convolucional?",
        ),
        Text(
            "They are representations of the input that the net learns by minimising its loss. The filters are "
            "neither chosen by hand (a) nor random (c).",
            "São representações da entrada que a rede aprende ao minimizar a função de perda. Os filtros não são "
            "escolhidos à mão (a) nem aleatórios (c).",
        ),
        option="b",
    ),
    Question(
        Text("Exercise 4", "Exercício 4"),
        Text(
            "A 256×256×3 input passes through 8 filters of 3×3×3 without padding, then through 16 filters of 3×3×p "
            "with padding: how many maps come out, what is their size, and what is p?",
            "Uma entrada 256×256×3 passa por 8 filtros 3×3×3 sem preenchimento e depois por 16 filtros 3×3×p com "
            "preenchimento: quantos mapas saem, de que tamanho, e quanto vale p?",
        ),
        Text(
            "16 maps, 254×254×16, p = 8. Each filter makes one map; only the layer without padding loses a row and a "
            "column on each side; and a filter is as deep as its input, the 8 maps of the first layer. The document "
            "has two options (a): this is the first.",
            "16 mapas, 254×254×16, p = 8. Cada filtro produz um mapa; só a camada sem preenchimento perde uma linha e "
            "uma coluna de cada lado; e um filtro é tão profundo como a sua entrada, os 8 mapas da primeira camada. O "
            "documento tem duas opções (a): esta é a primeira.",
        ),
        option="a",
    ),
    Question(
        Text("Exercise 5", "Exercício 5"),
        Text(
            "How can a net keep learning activation maps and reduce their width and height?",
            "Como pode uma rede continuar a aprender mapas de ativação e reduzir-lhes a largura e a altura?",
        ),
        Text(
            "By pooling, or by convolutions with a stride above 1. Net A of exercise 6 pools by 4 twice, net B "
            "strides by 4 twice; both reduce 1,024 positions to 64. Smaller filters (a) and more layers (b) do not "
            "reduce the size by themselves, and pooling alone (d) learns nothing.",
            "Com pooling, ou com convoluções de passo maior do que 1. A rede A do exercício 6 faz pooling por 4 duas "
            "vezes, a B usa passo 4 duas vezes; ambas reduzem 1024 posições a 64. Filtros menores (a) e mais camadas "
            "(b) não reduzem por si o tamanho, e só pooling (d) não aprende nada.",
        ),
        option="c",
        shown_by=("conv1d_a", "conv1d_b"),
    ),
    Question(
        Text("Exercise 6", "Exercício 6"),
        Text(
            "What are the output sizes of the second and the third convolution of nets A and B, and how many "
            "parameters does each net have?",
            "Que tamanhos de saída têm a segunda e a terceira convoluções das redes A e B, e quantos parâmetros tem "
            "cada rede?",
        ),
        Text(
            "A: (256, 32) and (64, 8); B: (64, 32) and (64, 8); 6,075 each. Pooling has no weights, and the stride "
            "does not change the size of a filter: 144 + 4,128 + 264 + 1,539.",
            "A: (256, 32) e (64, 8); B: (64, 32) e (64, 8); 6075 cada. O pooling não tem pesos, e o passo não altera "
            "o tamanho de um filtro: 144 + 4128 + 264 + 1539.",
        ),
        option="d",
        shown_by=("conv1d_a", "conv1d_b"),
    ),
    Question(
        Text("Exercise 7", "Exercício 7"),
        Text(
            "What are the output sizes of the layers of the net for 1024×1024 matrices?",
            "Que tamanhos de saída têm as camadas da rede para matrizes de 1024×1024?",
        ),
        Text(
            "(512, 256, 64), (256, 256, 64), (85, 85, 128) and (128). With padding a size is divided by the stride; "
            "without it, a 3×3 filter with stride 3 has ⌊(256 − 3) / 3⌋ + 1 = 85 positions; global average pooling "
            "leaves one value for each map.",
            "(512, 256, 64), (256, 256, 64), (85, 85, 128) e (128). Com preenchimento o tamanho é dividido pelo "
            "passo; sem ele, um filtro 3×3 com passo 3 tem ⌊(256 − 3) / 3⌋ + 1 = 85 posições; o global average "
            "pooling deixa um valor por mapa.",
        ),
        option="b",
        shown_by=("conv2d_1024",),
    ),
    Question(
        Text("Exercise 8", "Exercício 8"),
        Text(
            "Show the first ten pictures of CIFAR-100 and adapt the net to them: what are the sizes of its last two "
            "layers, and how many parameters does it have?",
            "Mostre as dez primeiras imagens do CIFAR-100 e adapte-lhes a rede: que tamanhos têm as duas últimas "
            "camadas, e quantos parâmetros tem a rede?",
        ),
        Text(
            "128 and 100, with 106,212 parameters. CIFAR-100 has 100 classes, so the dense layer has 128·100 + 100 = "
            "12,900 of them. The linked section shows ten pictures with their classes; they are the first in our "
            "order, since our copy of the set does not keep the original one.",
            "128 e 100, com 106 212 parâmetros. O CIFAR-100 tem 100 classes, pelo que a camada densa tem 128·100 + "
            "100 = 12 900 deles. A secção indicada mostra dez imagens com as suas classes; são as primeiras na nossa "
            "ordem, já que a nossa cópia do conjunto não conserva a original.",
        ),
        option="d",
        shown_by=("cifar100_shallow",),
    ),
    Question(
        Text("Exercise 9", "Exercício 9"),
        Text(
            "After 8 epochs, has the loss converged, and how does the test accuracy compare with a random classifier?",
            "Ao fim de 8 épocas, a perda convergiu, e como se compara a exatidão no teste com a de um classificador "
            "aleatório?",
        ),
        Text(
            "The printed loss still falls by .0732 in the last epoch, so more epochs would help. The printed accuracy "
            "of .1357 is 13.6 times that of a guess (.01); ours is {cifar100_shallow:times_better_than_a_guess} "
            "times.",
            "A perda impressa ainda desce 0,0732 na última época, pelo que mais épocas ajudariam. A exatidão impressa "
            "de 0,1357 é 13,6 vezes a de um palpite (0,01); a nossa é {cifar100_shallow:times_better_than_a_guess} "
            "vezes.",
        ),
        option="d",
        shown_by=("cifar100_shallow",),
    ),
    Question(
        Text("Exercise 10", "Exercício 10"),
        Text(
            "Does the deeper net's loss fall further from epoch 1 to epoch 8, and which test accuracy does it reach "
            "after 16?",
            "A perda da rede mais profunda desce mais da época 1 à época 8, e que exatidão no teste atinge após 16?",
        ),
        Text(
            "It falls further: by 1.2099 as printed, against .9263 of the smaller net, which is faster convergence. "
            "The printed accuracy is .2801, ours {cifar100_deep:test_accuracy}; both are above .25 and far from .50.",
            "Desce mais: 1,2099 nos valores impressos, contra 0,9263 da rede menor, ou seja, converge mais depressa. "
            "A exatidão impressa é 0,2801 e a nossa {cifar100_deep:test_accuracy}; ambas superam 0,25 e estão longe "
            "de 0,50.",
        ),
        option="a",
        shown_by=("cifar100_shallow", "cifar100_deep"),
    ),
)
